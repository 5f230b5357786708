"""Transcripts as files.

- `formats`: renders one transcript
- `names`: names of exported files, from the places of recordings
- `files`: exports the transcripts of a lake
"""
