"""The lake: Parquet tables under Delta Lake's log, written with pyarrow, read with DuckDB."""
