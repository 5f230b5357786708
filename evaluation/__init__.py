"""Scores transcripts against references: error rates, BLEU and intervals per language, and reports.

Works without Airflow and without a lake. The data passes through the packages in this order, and
each imports only from those before it:

- `pairs`: reference and hypothesis of each recording, from two files or from a lake
- `measure`: normalised texts, counts, rates and 95 % intervals; one system scored, two compared
- `gate`: the baselines of a lake, and the rules by which a comparison fails
- `report`: the results for a terminal, a browser and a pull request

`lake` runs all of it over a lake, for the DAG and `nightscribe evaluate`. `python -m evaluation`
runs it over two files, and `two_files` makes its reports.

Importing this package imports nothing else; each module imports what it needs.
"""
