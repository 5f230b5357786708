"""How well runs are planned: python -m tools.measure_estimates FOLDER [--model base] [--nights 4]

Divides the recordings of a folder into nights, transcribes them into a new lake, and prints the
time that was expected when each was planned beside the time that it took. Nothing is expected of
the first, in which the model is measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import nightscribe
from nightscribe.archives.kinds import Kind, kind_of
from nightscribe.text_tables import print_table


def main() -> int:
    """Run the nights and print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="base")
    parser.add_argument("--nights", type=int, default=4)
    given = parser.parse_args()
    files = sorted(path for path in given.folder.rglob("*") if kind_of(path.name) is Kind.AUDIO)
    with tempfile.TemporaryDirectory(prefix="nightscribe-plan-") as folder:
        lake = nightscribe.open_lake(f"{folder}/lake")
        for night in range(given.nights):
            archive = Path(folder, f"night-{night}")
            archive.mkdir()
            for number, path in enumerate(files[night :: given.nights]):
                (archive / f"{number}{path.suffix}").write_bytes(path.read_bytes())
            nightscribe.run(lake, nightscribe.Order((str(archive),), given.model))
        rows = lake.sql(
            """SELECT row_number() OVER (ORDER BY planned_at), round(audio_s, 1),
                 round(expected_s, 1), round(took_s, 1), round(took_s / expected_s, 2)
               FROM runs ORDER BY planned_at"""
        ).fetchall()
    print_table(["night", "audio, s", "expected, s", "took, s", "took / expected"], rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
