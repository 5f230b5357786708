"""Recordings in which nobody speaks, to measure what a model invents in them.

- `sounds`: noise, hum, tones, knocks, applause, breath; also behind the speech of the demo model
- `music`: notes and drums
- `catalog`: the recordings of the generated set: name, kind, length, level
- `room_tone`: the quietest stretch of a real recording, made longer without clicks
- `writing`: the files and their manifest
"""
