"""Transcripts as files: `formats` renders one, `files` writes many from a lake."""
