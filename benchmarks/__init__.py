"""Benchmarks: Nightscribe's engine and others, on the same archive and checkpoint.

Nothing in `nightscribe` or `evaluation` imports this package.
"""
