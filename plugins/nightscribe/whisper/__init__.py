"""Many recordings in, finished transcripts out."""
