"""List, fetch, verify and convert Whisper checkpoints.

`list` prints the official models and where they are; `fetch` downloads models that are missing;
`verify` hashes model files again and compares official ones with their published SHA-256;
`convert` writes a model in a folder of Transformers or CTranslate2 as a file of openai-whisper.

examples:
  nightscribe models list
  nightscribe models fetch turbo
  nightscribe models verify large-v3
  nightscribe models convert /models/whisper-medium-swiss swiss.pt
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nightscribe.errors import ModelError
from nightscribe.settings import Settings
from nightscribe.text_tables import print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action, the models and their folder."""
    parser.add_argument("action", choices=["list", "fetch", "verify", "convert"], help="what to do")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="model to fetch or verify: official name, path of a checkpoint (file or folder), or "
        "demo; for convert: a model and the file to write",
    )
    parser.add_argument(
        "--model_dir",
        metavar="DIR",
        help="folder of the checkpoints (NIGHTSCRIBE_MODEL_DIR; default: openai-whisper's cache "
        "folder)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print one line per model; returns 1 if one cannot be fetched or verified."""
    from nightscribe.whisper import checkpoints

    folder = arguments.model_dir or Settings().model_dir
    if arguments.action == "list":
        print_table(
            ("model", "MB", "file"),
            [
                (entry.name, f"{(entry.size_bytes or 0) / 1e6:.1f}", entry.path)
                if entry.cached
                else (entry.name, None, "not fetched")
                for entry in checkpoints.list_models(folder)
            ],
        )
        return 0
    if not arguments.names:
        arguments.parser.error(f"{arguments.action}: name at least one model")
    if arguments.action == "convert":
        if len(arguments.names) != 2:
            arguments.parser.error("convert: name a model and the file to write")
        return _convert(arguments.names[0], Path(arguments.names[1]), folder)
    failed = 0
    for name in arguments.names:
        try:
            if arguments.action == "fetch":
                checkpoint = checkpoints.resolve(name, folder)
            else:
                checkpoint = checkpoints.verify(name, folder)
            print(f"{name}: {checkpoint.path}, SHA-256 {checkpoint.model_id}")
        except ModelError as error:
            failed += 1
            print(f"{name}: {error}")
    return 1 if failed else 0


def _convert(name: str, path: Path, folder: str | None) -> int:
    from nightscribe.whisper import checkpoints
    from nightscribe.whisper.formats.openai import write_openai
    from nightscribe.whisper.weights import read_network

    if path.exists():
        raise ModelError(f"{path} exists: give the name of a new file")
    network = read_network(Path(checkpoints.resolve(name, folder, fetch=False).path))
    write_openai(network, path)
    written = checkpoints.resolve(str(path), folder)
    print(f"{name}: written as {path}, SHA-256 {written.model_id}")
    return 0
