"""The process that runs one engine once: `python -m benchmarks.worker`, its task on stdin.

Answers are lines of JSON on standard output: `ready` when the model is loaded and warm, `done`
with the texts. What libraries print goes to standard error.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Load the engine, warm it up on the first recordings named, then time it on all."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task = json.load(sys.stdin)

    def tell(**answer: Any) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    import torch

    from benchmarks.engines import Setup, load

    setup = Setup(**task["setup"])
    torch.set_num_threads(setup.threads)
    started = time.perf_counter()
    run = load(task["engine"], setup)
    list(run(task["warm_up"]))
    tell(event="ready", loading_s=time.perf_counter() - started)
    started = time.perf_counter()
    texts = [dataclasses.asdict(text) for text in run(task["recordings"])]
    tell(event="done", wall_s=time.perf_counter() - started, texts=texts)


if __name__ == "__main__":
    main()
