"""How `models/demo.pt` and `samples/archive` are made: grammar, speech, windows, training, checks.

`python -m tools.demo_model --help` lists the steps; `make demo-model` runs them all.
"""
