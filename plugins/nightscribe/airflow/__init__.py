"""What runs inside Airflow, or runs Airflow. The rest of the library imports without it.

- `tasks`: the tasks of the nightly DAG; `upload`: those of the DAG for one file
- `reviews`: the task of the DAG that commits reviews
- `run_conf`, `pools`: what a run was triggered with, and the pools that it needs
- `failures`: whether a failed task is tried again, and its reason for the task `check`
- `alerts`: what Airflow calls when a task has failed for good
- `metrics`, `lineage`: what tasks report to Airflow about their work
- `form`: parameters as the trigger form shows them
- `readiness`: examines the Airflow of this machine for `nightscribe doctor`
- `standalone`: a private Airflow on one machine, for `make up`, the demo and the tests
"""
