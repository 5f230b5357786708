"""The recordings that two systems have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import pyarrow as pa

from evaluation.pairs.table import Group, Pair, group_of, pair_rows


def matched(
    baseline: pa.Table, candidate: pa.Table
) -> Iterator[tuple[Group, list[Pair], list[Pair]]]:
    """Per group, the pairs of the recordings that both systems have, in the same order.

    Both sides get the candidate's reference: it may have been corrected after the baseline was
    set. Groups without a common recording are left out.

    Args:
        baseline, candidate: columns as in `PAIRS`, of one model and one set of options each

    Raises:
        ValueError: a table cannot be used, or a group has a recording twice
    """
    before, after = _by_recording(baseline, "baseline"), _by_recording(candidate, "candidate")
    for group in sorted(before.keys() & after.keys()):
        recordings = sorted(before[group].keys() & after[group].keys())
        if recordings:
            reference = {name: after[group][name]["reference"] for name in recordings}
            yield (
                group,
                [{**before[group][name], "reference": reference[name]} for name in recordings],
                [after[group][name] for name in recordings],
            )


def _by_recording(pairs: pa.Table, system: str) -> Mapping[Group, dict[str, Pair]]:
    groups: dict[Group, dict[str, Pair]] = defaultdict(dict)
    for pair in pair_rows(pairs):
        group = groups[group_of(pair)]
        if pair["recording_id"] in group:
            raise ValueError(
                f"the {system} has recording {pair['recording_id']} of {pair['dataset']} twice for "
                f"{pair['task']}: compare one model and one set of options at a time"
            )
        group[pair["recording_id"]] = pair
    return groups
