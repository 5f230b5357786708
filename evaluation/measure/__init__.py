"""Measures pairs: normalised texts are counted, counts give rates, rates get intervals."""
