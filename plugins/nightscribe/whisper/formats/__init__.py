"""Checkpoints as they are stored: OpenAI's file, and the folders of two other libraries.

- `files`: which format a path has, and the files that make up its model
- `network`: what all formats hold
- `openai`: openai-whisper's `.pt`, read and written
- `hugging_face`: a folder of Transformers, `model.safetensors`
- `ctranslate2`: a folder of CTranslate2, `model.bin`
- `tokens`: whether a folder's tokenizer is OpenAI's
"""
