"""Bring the search index up to date with the lake.

The page Search reads it. `nightscribe run` and the DAGs do the same after each publication. An
index that is lost or damaged is made anew: it can be deleted at any time.

examples:
  nightscribe index --lake /data/lake
  NIGHTSCRIBE_INDEX=/data/index nightscribe index --lake s3://bucket/lake
"""

from __future__ import annotations

import argparse

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the lake."""
    add_lake(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Build the index; print what has changed."""
    from nightscribe.stages.index import index, summary

    built = index(lake_of(arguments), Settings())
    print(f"{summary(built)}: {built.folder}")
    return 0
