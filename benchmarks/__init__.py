"""Nightscribe's engine beside others: the same archive, the same checkpoint, the same run.

Separate from the library: nothing in `nightscribe` or `evaluation` imports this.
"""
