"""Whisper: checkpoints, options and engines.

- `contract`: what the stages and an engine pass to each other
- `engines`: loads a model, finds an engine by its name
- `reference`: the engine that calls openai-whisper
- `batched`: the engine that decodes many recordings side by side
- `options`: the settings that change a transcript's text
- `checkpoints`, `official`, `downloads`, `digests`, `weights`: from a model's name to its weights
- `formats`: how checkpoints are stored
- `devices`: where to compute, and in which precision
"""
