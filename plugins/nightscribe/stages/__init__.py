"""The stages of a run, each a function from plain values to plain values.

scan → ingest → plan → transcribe → publish. `night` runs them all in one process; the DAG calls
them as tasks. `order` is what a run was asked to do, `run_ids` names runs and their folders,
`datasets` adds an evaluation data set to a lake.
"""
