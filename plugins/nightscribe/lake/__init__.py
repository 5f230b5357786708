"""The lake: Parquet tables under Delta Lake's log, written with pyarrow, read with DuckDB.

- `schema`, `keys`: the tables, column by column, and what makes a row unique; read these first
- `location`, `opening`: where a lake is, and how it is opened
- `tables`: commits, exactly once; `rows`: plain dictionaries as Arrow rows
- `specs`: descriptions of work that stages pass each other
- `views`, `reading`: what `SELECT` sees
- `transcripts`: rows of the lake as Whisper's results, and back
"""
