"""The tasks and forms of the DAGs, and a private Airflow. The rest
of the library can be imported without Airflow."""
