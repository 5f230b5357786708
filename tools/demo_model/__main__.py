"""`python -m tools.demo_model`: make the demo checkpoint and the sample archive, step by step.

  speak     the training set: grammar and espeak-ng, 30 h of speech
  train     the network, resumable: what was trained before is gone on from
  pack      float16, deflated, in Whisper's format
  check     measure it on held-out sentences and voices with plain whisper.transcribe
  samples   the sample archive

Each step writes below --work and leaves alone what is there already; `all` does the first four.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

# Two programs that wait for each other by spinning slow each other down tenfold. Read by libgomp
# when torch loads it, so it must be set before.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

SEED = 1
SENTENCES = 7500


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tools.demo_model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", choices=("speak", "train", "pack", "check", "samples", "all"))
    parser.add_argument("--work", type=Path, default=Path("build/demo_model"))
    parser.add_argument("--device", default="cpu", help="where to train: cpu (default) or cuda")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="share of the sentences, steps and checks to do: 0.002 is a trial of the chain",
    )
    parser.add_argument("--model", type=Path, help="checkpoint to check (default: the one made)")
    parser.add_argument("--archive", type=Path, help="where samples go (default: in --work)")
    return parser.parse_args()


def main() -> int:
    """Run one step or all; returns the exit code."""
    given = _arguments()
    steps = ("speak", "train", "pack", "check") if given.step == "all" else (given.step,)
    for step in steps:
        began = time.monotonic()
        print(f"{step} …", file=sys.stderr, flush=True)
        try:
            _STEPS[step](given)
        except (RuntimeError, OSError) as error:
            print(f"error: {step}: {error}", file=sys.stderr)
            return 1
        print(f"{step}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return 0


def _speak(given: argparse.Namespace) -> None:
    from tools.demo_model.corpus import write

    write(given.work / "speech", max(20, round(SENTENCES * given.scale)), seed=SEED)


def _training(given: argparse.Namespace):  # type: ignore[no-untyped-def]
    from tools.demo_model.schedule import PHASES, scaled
    from tools.demo_model.train import Training

    return Training(
        given.work / "speech",
        given.work,
        tuple(scaled(phase, given.scale) for phase in PHASES),
        seed=SEED,
        device=given.device,
    )


def _train(given: argparse.Namespace) -> None:
    _training(given).run()


def _pack(given: argparse.Namespace) -> None:
    from tools.demo_model.pack import pack

    if not (given.work / "train.pt").exists():
        raise RuntimeError(f"nothing is trained in {given.work}: run the step 'train' first")
    file = given.work / "demo.pt"
    pack(_training(given).learner, file)
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


def _check(given: argparse.Namespace) -> None:
    from tools.demo_model.check import card_table, check

    checkpoint = given.model or given.work / "demo.pt"
    found = check(
        checkpoint, count=max(2, round(60 * given.scale)), long_s=max(35.0, 125.0 * given.scale)
    )
    given.work.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, ensure_ascii=False, indent=1)
    (given.work / "check.json").write_text(text, encoding="utf-8")
    print(card_table(found))


def _samples(given: argparse.Namespace) -> None:
    from tools.demo_model.samples import write_samples

    write_samples(given.archive or given.work / "samples")


_STEPS = {"speak": _speak, "train": _train, "pack": _pack, "check": _check, "samples": _samples}

if __name__ == "__main__":
    sys.exit(main())
