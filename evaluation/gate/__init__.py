"""The gate: is a system worse than its baseline, beyond what is tolerated and beyond chance?

- `baselines`: the transcripts of a lake that later ones are compared with
- `rules`, `rules_file`: what is tolerated, as a value and as `gate.toml`
- `significance`: tests, and their correction for many figures
- `judging`: a verdict for each row of a comparison
- `coverage`, `against`: a system beside its baseline, with all verdicts and messages
- `outcomes`: the verdicts as a lake keeps them
"""
