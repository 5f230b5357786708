"""Pairs of reference and hypothesis: their table, and where they come from."""
