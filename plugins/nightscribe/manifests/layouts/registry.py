"""The layouts by name, and one function that reads any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nightscribe.errors import ConfigurationError
from nightscribe.manifests.layouts.common_voice import read_common_voice
from nightscribe.manifests.layouts.covost2 import read_covost2
from nightscribe.manifests.layouts.fleurs import read_fleurs
from nightscribe.manifests.layouts.folders import ChosenLanguage, choose_language
from nightscribe.manifests.layouts.librispeech import read_librispeech
from nightscribe.manifests.layouts.manifest_file import read_manifest_file
from nightscribe.manifests.layouts.mls import read_mls
from nightscribe.manifests.layouts.utterance import Utterance
from nightscribe.splits import split_name

__all__ = ["LAYOUTS", "Layout", "read_layout"]


@dataclass(frozen=True)
class Layout:
    """How to read a data set.

    Attributes:
        dataset: its name in reports, unless the list or the user gives another; splits other
            than `test` are added to it
        read: called with the path, the languages (none: all) and the split
        split: the one that is read if the user names none
    """

    dataset: str
    read: Callable[[Path, Sequence[ChosenLanguage], str], Iterator[Utterance]]
    split: str = "test"


LAYOUTS: dict[str, Layout] = {
    "fleurs": Layout("fleurs", read_fleurs),
    "common-voice": Layout("common_voice", read_common_voice),
    "covost2": Layout("covost2", read_covost2),
    "librispeech": Layout("librispeech", read_librispeech, split="test-clean"),
    "mls": Layout("mls", read_mls),
    "manifest": Layout("manifest", read_manifest_file, split="all"),
}


def read_layout(
    name: str, path: Path, languages: Sequence[str] = (), split: str | None = None
) -> list[Utterance]:
    """Read the lists of a data set.

    Args:
        name: of `LAYOUTS`
        languages: codes, locales or English names; none: all that Whisper knows

    Raises:
        ConfigurationError: the tree is not as the layout says, or holds nothing of the languages
            or the split
    """
    layout = LAYOUTS[name]
    if not path.exists():
        raise ConfigurationError(f"{path}: is not there: give --path the data set's folder")
    path = path.absolute()  # the folder of a language gives the language by its name
    chosen = [choose_language(language) for language in languages]
    utterances = list(layout.read(path, chosen, split or layout.split))
    if not utterances:
        raise ConfigurationError(f"{path}: its lists name no recording")
    return [
        replace(one, dataset=one.dataset or split_name(layout.dataset, one.split))
        for one in utterances
    ]
