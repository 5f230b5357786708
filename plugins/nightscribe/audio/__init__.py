"""Audio files in, 16 kHz mono samples out; decoding happens in isolated processes."""
