"""How good are the transcripts: error rates, BLEU and intervals per language, and reports.

Usable without Airflow and without a lake. The data flows through the modules in this order:

- `files`, `from_lake`: pairs of reference and hypothesis, from files or from a lake
- `normalize`: text as Whisper's authors compare it
- `metrics`: counts, rates and 95 % intervals
- `scoring`: a table of pairs in, a table of scores out
- `summary`, `report`: scores for a terminal, a browser, a pull request

Importing this package imports nothing else; each module imports what it needs.
"""
