"""The gate: is a system worse than its baseline, beyond what is tolerated and beyond chance?

Or is it beyond an absolute limit, whatever the baseline and chance say?

- `baselines`: the transcripts of a lake that later ones are compared with
- `rules`, `rules_file`: what is tolerated, as a value and as `gate.toml`
- `significance`: tests, and their correction for many figures
- `judging`: a verdict for each row of a comparison
- `limits`: scores that must not be beyond a limit
- `coverage`, `against`: a system beside its baseline, with all verdicts and messages
- `findings`: both together: what a report shows and a gate acts on
- `wording`: how messages name groups, figures and recordings
- `outcomes`: the verdicts as a lake keeps them
"""
