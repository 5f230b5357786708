"""The batched engine: the reference's algorithm for each recording, its work done in batches.

- `scheduler`: keeps many recordings going and fills free slots
- `longform`: one recording's algorithm, as a generator
- `slots`: windows that are decoded side by side; `token_rules`: which tokens may follow
- `model`: the network over fixed-size caches; `linear`: its linear layers
- `log_mel`: the spectrogram, window by window
- `alignment`, `word_timestamps`: when words are said
- `sizing`, `memory`: how many slots fit
"""
