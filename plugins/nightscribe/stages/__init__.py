"""The stages of a run: scan → ingest → plan → transcribe → publish.

`night` calls them in one process, the DAG calls them as tasks.

- `order`: the parameters of a run, checked; `run_ids`: the names of runs and of their folders
- `scan`: finds new files, writes ingest specs; `new_files`: compares a listing with the lake
- `ingest`: ingests the files of a spec; `ingest_queue`: hashes, decodes and commits them in order
- `account`: what became of every file; `disappeared`: sources that a scan no longer finds
- `outcome`: what a run reports at its end
- `plan`: divides pending transcripts into batches; `pending`: finds them; `done`: which are done
- `expected_speed`: how fast a model will be, which sizes the batches
- `estimate`: how long batches take; `unread`: audio in new files; `outlook`: both for each model;
  `forecast`: whether a night that is planned will be late
- `cutting`: cuts a stream of rows into tables, for `scan` and `plan`
- `transcribe`: transcribes a batch; `attempt`: one attempt and its commit; `requests`: its audio
- `publish`: writes the DuckDB catalog
- `night`: runs all stages in one process
- `night_checks`, `machine_checks`: examine what a night needs; `findings`: what they report
- `reviews`: commits what reviewers decided
- `datasets`: adds an evaluation data set to a lake
"""
