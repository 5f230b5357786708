"""Whisper: checkpoints, options and engines.

- `contract`: what the pipeline and an engine pass each other
- `engines`: loads a model, names an engine
- `reference`: the engine that calls openai-whisper
- `batched`: the engine that decodes many recordings side by side
- `options`: what else changes a transcript's text
- `checkpoints`, `official`, `downloads`, `digests`, `weights`: from a model's name to its weights
- `devices`: where to compute, and in which precision
"""
