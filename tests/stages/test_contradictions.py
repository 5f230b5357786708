"""The same audio with two reference texts in one data set: told, and neither text is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightscribe.lake.opening import open_lake
from nightscribe.lake.reading import read
from nightscribe.settings import Settings
from nightscribe.stages.ingest import ingest
from nightscribe.stages.order import Order
from nightscribe.stages.plan import plan_run
from nightscribe.stages.run_ids import work_folder
from nightscribe.stages.scan import scan
from tests.nights import write_noise

CPU = Settings(device="cpu")


@pytest.mark.parametrize(
    ("lines", "references", "told"),
    [
        (["a.wav,one,d", "copy.wav,two,d"], 1, 2),
        (["a.wav,one,d", "copy.wav,one,d"], 2, 0),
        (["a.wav,one,d", "copy.wav,two,e"], 3, 0),
        (["a.wav,one,d", "copy.wav,one,d", "sub/copy.wav,two,d"], 1, 3),
    ],
)
def test_two_texts_for_one_audio(
    lines: list[str], references: int, told: int, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    for name in ("a.wav", "copy.wav", "sub/copy.wav"):
        write_noise(archive / name, 1)
    write_noise(archive / "b.wav", 2)
    (archive / "manifest.csv").write_text(
        "\n".join(["path,text,dataset", *lines, "b.wav,three,d"]) + "\n"
    )
    lake = open_lake(str(tmp_path / "lake"))
    order = Order((str(archive),), "demo")
    archives = order.wanted(CPU).archives
    for spec in scan(lake, archives, "r", settings=CPU, folder=work_folder("r")).specs:
        ingest(lake, spec, "r", settings=CPU)
    for _ in range(2):  # a repeated plan adds nothing
        plan_run(lake, order, "r", CPU, 10)
        rejected = read(lake, "SELECT uri, reason, detail FROM rejected ORDER BY uri").to_pylist()
        assert read(lake, "FROM reference_texts").num_rows == references
        assert [row["reason"] for row in rejected] == told * ["manifest_bad_row"]
        assert all("are the same audio" in row["detail"] for row in rejected)
