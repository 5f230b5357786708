"""Create the demo checkpoint and the sample archive, step by step.

  speak     create the training set: 30 h of speech, from a grammar and espeak-ng
  train     train the network; continues an interrupted training
  pack      write the checkpoint in Whisper's format: float16, deflated
  check     measure the checkpoint on new sentences and voices with whisper.transcribe
  samples   create the sample archive
  all       speak, train, pack and check

`speak` and `train` continue with what is in --work.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

# If the threads of two programs spin while they wait, each program takes ten times as long. libgomp
# reads this when torch loads it, so it must be set before.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

SEED = 1
SENTENCES = 7500


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tools.demo_model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "step", choices=("speak", "train", "pack", "check", "samples", "all"), help="what to do"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("build/demo_model"),
        help="folder of all files (default: %(default)s)",
    )
    parser.add_argument("--device", default="cpu", help="device to train on (default: cpu)")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="share of the sentences, steps and checks; 0.002 tries all steps (default: 1)",
    )
    parser.add_argument("--model", type=Path, help="checkpoint to check (default: WORK/demo.pt)")
    parser.add_argument("--archive", type=Path, help="folder of samples (default: WORK/samples)")
    return parser.parse_args()


def main() -> int:
    """Run one or all steps; returns the exit code."""
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
    from tools.demo_model.corpus import write_corpus

    write_corpus(given.work / "speech", max(20, round(SENTENCES * given.scale)), seed=SEED)


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
        raise RuntimeError(f"{given.work} has no trained network: run the step 'train' first")
    file = given.work / "demo.pt"
    pack(_training(given).learner, file)
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


def _check(given: argparse.Namespace) -> None:
    from tools.demo_model.check import card_table, check

    checkpoint = given.model or given.work / "demo.pt"
    figures = check(
        checkpoint,
        count=max(2, round(60 * given.scale)),
        long_count=max(1, round(2 * given.scale)),
        long_s=max(35.0, 125.0 * given.scale),
    )
    given.work.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, ensure_ascii=False, indent=1)
    (given.work / "check.json").write_text(text, encoding="utf-8")
    print(card_table(figures))


def _samples(given: argparse.Namespace) -> None:
    from tools.demo_model.samples import write_samples

    write_samples(given.archive or given.work / "samples")


_STEPS = {"speak": _speak, "train": _train, "pack": _pack, "check": _check, "samples": _samples}

if __name__ == "__main__":
    # A reader such as `head` that goes away ends it, as it ends other programs.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
