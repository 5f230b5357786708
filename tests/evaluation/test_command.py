"""`python -m evaluation`, run as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluation.__main__ import main

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Capture = pytest.CaptureFixture[str]

REFERENCES = """\
path,language,text,translation
a.wav,en,The night boat comes home.,The night boat comes home.
b.wav,es,"Esta noche llueve, Sara.","It rains tonight, Sara."
c.wav,zh,今天晚上下雨,It rains tonight.
d.wav,de,Heute Nacht regnet es.,
"""
HYPOTHESES = """\
path,language,text,translation
a.wav,en,the night boat comes,The night boat comes home.
b.wav,es,esta noche llueve Sarah,It rains tonight Sarah.
c.wav,zh,今天晚上下雪,It snows tonight.
x.wav,fr,Bonjour,Hello
"""


def environment(repository: Path) -> dict[str, str]:
    path = f"{repository}{os.pathsep}{repository / 'plugins'}"
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def run(repository: Path, tmp_path: Path) -> Run:
    def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "evaluation", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(repository),
        )

    return run_command


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """The arguments that name two files in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "refs.csv").write_text(REFERENCES, encoding="utf-8")
    (tmp_path / "hyps.csv").write_text(HYPOTHESES, encoding="utf-8")
    return "--references", "refs.csv", "--hypotheses", "hyps.csv"


def test_two_files_become_a_table_and_three_reports(
    run: Run, files: tuple[str, ...], tmp_path: Path
) -> None:
    result = run(*files, "--out", "out/deep")
    assert result.returncode == 0, result.stderr
    assert "English (en)" in result.stdout
    assert "20.0" in result.stdout  # one of five words missing
    assert "d.wav" in result.stderr
    assert "x.wav" in result.stderr
    out = tmp_path / "out" / "deep"
    assert (out / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (out / "report.md").read_text(encoding="utf-8").startswith("# ")
    written = json.loads((out / "scores.json").read_text(encoding="utf-8"))
    headline = {
        (row["language"], row["metric"]): row["value"]
        for row in written["scores"]
        if row["headline"] and row["task"] == "transcribe"
    }
    assert headline == {("en", "wer"): 0.2, ("es", "wer"): 0.25, ("zh", "cer"): 1 / 6}
    assert len(written["confusion"]) == 3


def test_a_missing_task_fails_the_gate(tmp_path: Path, capsys: Capture) -> None:
    header = "id,language,text,translation"
    (tmp_path / "refs.csv").write_text(f"{header}\na,de,eins zwei,one two\nb,de,drei,three\n")
    shutil.copyfile(tmp_path / "refs.csv", tmp_path / "old.csv")
    (tmp_path / "new.csv").write_text("id,language,text\na,de,eins zwei\nb,de,drei\n")
    (tmp_path / "gate.toml").write_text("")
    files = ("references", "refs.csv"), ("hypotheses", "new.csv"), ("baseline", "old.csv")
    arguments = [part for name, file in files for part in (f"--{name}", str(tmp_path / file))]
    assert main([*arguments, "--gate", str(tmp_path / "gate.toml")]) == 3
    error = capsys.readouterr().err
    assert "worse: German (de) of refs, translate: none of the 2 recordings" in error
    (tmp_path / "gate.toml").write_text('[[override]]\ntask = "translate"\naction = "ignore"\n')
    assert main([*arguments, "--gate", str(tmp_path / "gate.toml")]) == 0
    with pytest.raises(SystemExit) as ended:
        main([*arguments[:4], "--gate", str(tmp_path / "gate.toml")])
    assert ended.value.code == 2


def test_a_baseline_is_compared_with(
    files: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    better = HYPOTHESES.replace("boat comes,", "boat comes home,").replace("下雪", "下雨")
    (tmp_path / "new.csv").write_text(better, encoding="utf-8")
    new = (*files[:2], "--hypotheses", "new.csv", "--baseline", "hyps.csv")
    assert main([*new, "--out", "out"]) == 0
    printed = capsys.readouterr().out
    assert "-20.00" in printed
    assert "a.wav (en): 1 error better" in printed
    written = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    headlines = {
        row["language"]: row["difference"]
        for row in written["comparison"]
        if row["headline"] and row["task"] == "transcribe"
    }
    assert headlines == {"en": -0.2, "es": 0, "zh": pytest.approx(-1 / 6)}
    assert {one["id"] for one in written["changed"]} == {"a.wav", "c.wav"}
    other = "path,language,text,translation\nd.wav,de,Heute Nacht,\n"
    (tmp_path / "other.csv").write_text(other, encoding="utf-8")
    assert main([*files, "--baseline", "other.csv"]) == 1
    error = capsys.readouterr().err
    assert "'a.wav'" in error  # which the baseline lacks
    assert "share no id" in error


def test_json_lines_score_like_csv(files: tuple[str, ...], tmp_path: Path, capsys: Capture) -> None:
    for name in ("refs", "hyps"):
        with (tmp_path / f"{name}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    assert main(files) == 0
    from_csv = capsys.readouterr().out
    assert main(["--references", "refs.jsonl", "--hypotheses", "hyps.jsonl"]) == 0
    assert capsys.readouterr().out == from_csv


def test_task_translate_takes_english_from_the_text_column(
    files: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "hyps.csv").write_text("id,text\nb.wav,It rains tonight.\n", encoding="utf-8")
    assert main([*files, "--task", "translate"]) == 0
    [row] = [line for line in capsys.readouterr().out.splitlines() if "Spanish" in line]
    assert row.split()[5:7] == ["–", "–"]  # no error rates
    assert row.split()[7] != "–"  # BLEU


def test_files_without_a_common_id_leave_nothing_to_score(
    files: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "hyps.csv").write_text("id,text\nother,words\n", encoding="utf-8")
    assert main(files) == 1
    printed = capsys.readouterr()
    assert "nothing to score" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("refs.csv", b"id,text\na,b\n", "refs.csv: 'a' has no language"),
        ("refs.csv", b"", "refs.csv: the file is empty"),
        ("refs.csv", b"name,language,text\n", "refs.csv, line 1: no column `id` or `path`"),
        ("refs.csv", b"id,language\na,en\n", "refs.csv, line 1: no column `text`"),
        ("refs.csv", b"id,language,text,text\n", "refs.csv, line 1: columns given twice: text"),
        ("refs.csv", b"id,language,text\na,en,x\na,en,y\n", "line 3: the id 'a' was on line 2"),
        ("refs.csv", b"id,language,text\n,en,x\n", "refs.csv, line 2: no id"),
        (
            "refs.csv",
            b"id,language,text\na,en,one, two\n",
            "refs.csv, line 2: 4 cells, but the header has 3 columns: put",
        ),
        ("refs.csv", b'id,language,text\na,en,"open\n', "refs.csv, line"),
        (
            "refs.csv",
            b"id,language,text\na,de,gr\xfcn\n",
            "refs.csv: is not UTF-8: byte 0xfc at offset 24 (Latin-1 ",
        ),
        (
            "refs.jsonl",
            b'{"id": "a"}\n{"id": \n',
            "refs.jsonl, line 2: not JSON: Expecting value at column 8",
        ),
        ("refs.jsonl", b"[1]\n", "refs.jsonl, line 1: not a JSON object"),
        (
            "refs.jsonl",
            b'{"id": "a", "text": ["x"]}\n',
            "line 1: `text` must be text",
        ),
        ("refs.xlsx", b"", "refs.xlsx: unknown kind of file '.xlsx'"),
        ("refs.csv", None, "refs.csv: cannot be read"),
    ],
)
def test_files_that_cannot_be_used_are_named_with_line_and_cure(
    name: str,
    content: bytes | None,
    message: str,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    (tmp_path / "hyps.csv").write_text(HYPOTHESES, encoding="utf-8")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    arguments = ["--references", str(tmp_path / name), "--hypotheses", str(tmp_path / "hyps.csv")]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_bad_file_is_reported_without_loading_torch(
    repository: Path, files: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "refs.csv").write_text("", encoding="utf-8")
    script = (
        "import sys\nfrom evaluation.__main__ import main\n"
        f"code = main({list(files)!r})\nsys.exit(code if 'torch' not in sys.modules else 9)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(repository),
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_an_output_folder_that_is_a_file_is_refused(
    files: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "taken").write_text("")
    assert main([*files, "--out", "taken"]) == 2
    assert "taken: cannot be made a folder" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_named(
    files: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "out" / "report.md").mkdir(parents=True)
    assert main([*files, "--out", "out"]) == 2
    message = capsys.readouterr().err
    assert f"{Path('out') / 'report.md'}: cannot be written: Is a directory: " in message


def test_help_says_what_the_files_hold_and_what_the_exit_codes_mean(run: Run) -> None:
    result = run("--help")
    assert result.returncode == 0
    assert "exit codes" in result.stdout
    assert "python -m evaluation --references refs.csv" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_unknown_arguments_are_wrong_usage(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--reference"])
    assert ended.value.code == 2
    assert "usage: python -m evaluation" in capsys.readouterr().err
