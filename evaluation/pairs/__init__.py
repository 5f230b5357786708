"""Pairs of reference and hypothesis: where they come from.

- `table`: the columns of a table of pairs
- `entries`, `from_files`, `matching`: from CSV, TSV or JSON Lines files
- `from_lake`: from the tables of a lake; `timed`: when the words of a transcript were spoken
- `references`: the references of a lake, splits apart, and all of them counted
- `left_out`: what a system has no transcripts of
- `systems`: which model and options a pair belongs to
- `choices`: the systems and baselines that a lake can be compared with
"""
