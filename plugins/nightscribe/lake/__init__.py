"""The lake: Delta tables (Parquet files and a log), written with delta-rs, read with DuckDB.

- `schema`, `keys`: the columns of every table, and its key; read these first
- `location`, `opening`: where a lake is; open it and create missing tables
- `tables`, `rows`: exactly-once commits; dictionaries as Arrow rows
- `log`, `published`, `damage`: what a damaged lake lacks, and what can be recovered
- `specs`: descriptions of work that stages pass to each other
- `connections`: DuckDB as all of Nightscribe uses it
- `views`, `reading`: the views over the tables; SQL queries
- `read_only`: an object store without writes, for queries
- `doubt`, `doubtful`: when a segment is doubtful by Whisper's own figures; the view of transcripts
- `transactions`: ids that writers and readers agree on
- `replaced`: deletes what replaced transcripts leave
- `transcripts`: conversion between rows and Whisper's results
"""
