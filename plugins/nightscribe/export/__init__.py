"""Transcripts as files: `formats` renders one transcript, `files` exports those of a lake."""
