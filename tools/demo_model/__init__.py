"""Creates `models/demo.pt` and `samples/archive`: grammar, speech, windows, training, checks.

`python -m tools.demo_model --help` lists the steps. `make demo-model` runs those of the checkpoint.
"""
