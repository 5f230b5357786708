"""The batched engine: the reference's algorithm for each recording, its work done in batches.

From the outside in:

- `scheduler`: the engine's loop; `intake`: from requests to decoded recordings
- `longform`: the algorithm of one recording, as a generator; `network_requests`: what it asks for
- `windows`, `prompts`, `segments`, `hallucinations`: its parts
- `log_mel`, `encoded_windows`: a window's spectrogram and features
- `language_detection`: the language of a window
- `window_tasks`: how a window is decoded; `token_rules`: which tokens may come next
- `slots`, `rows`: windows that are decoded side by side
- `sampling`, `beam_search`, `text_ranking`: how tokens and texts are chosen
- `alignment`, `word_timestamps`: the times of words
- `model`, `layers`, `linear`: the network over fixed-size caches; `model_shape`: its dimensions
- `sizing`, `memory`: how many slots fit
- `random_weights`: networks of the official shapes, to measure speed without their weights
"""
