"""Set or show the baselines: the transcripts that later ones are compared with.

There is one baseline per data set, language (or variety, such as zh-TW) and task. `set` takes the
newest transcripts that the flags select, all from one model with one set of options, and replaces
the baseline. After that, `nightscribe evaluate` and the DAG `evaluate_transcripts` compare new
transcripts with it.

examples:
  nightscribe baseline set --lake /data/lake --reason "large-v3, before the upgrade"
  nightscribe baseline set --lake /data/lake --language zh --language ja --model large-v3
  nightscribe baseline show --lake /data/lake
"""

from __future__ import annotations

import argparse

from nightscribe.cli.arguments import add_lake, lake_of
from nightscribe.errors import ConfigurationError
from nightscribe.flags import add_list, separated
from nightscribe.lake.reading import read
from nightscribe.languages import UNDETERMINED, nearest_language, stated_language
from nightscribe.text_tables import print_table

_BASELINES = """
SELECT dataset, coalesce(variety, language) AS language, task, any_value(model) AS model,
    any_value(options_key)[:8] AS options, count(*) AS recordings,
    strftime(any_value(created_at), '%Y-%m-%d %H:%M') AS set_at, any_value(reason) AS reason
FROM latest_baselines
GROUP BY dataset, language, variety, task
ORDER BY ALL
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `set` and `show`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="set|show")
    summary = "make the newest transcripts the baseline"
    setting = actions.add_parser("set", help=summary, description=f"{summary.capitalize()}.")
    add_lake(setting)
    setting.add_argument("--dataset", metavar="NAME", help="only this data set (default: all)")
    add_list(
        setting,
        "--language",
        type=separated(),
        metavar="CODE",
        help="only these languages or varieties, such as zh-TW (default: all)",
    )
    setting.add_argument(
        "--task", choices=["transcribe", "translate"], help="only this task (default: both)"
    )
    setting.add_argument(
        "--model",
        help="only transcripts of this model: its name, path, or the first digits of its model_id",
    )
    setting.add_argument(
        "--options-key",
        metavar="KEY",
        help="only transcripts with these options: their options_key, or its first digits",
    )
    setting.add_argument(
        "--may-shrink",
        action="store_true",
        help="replace a baseline even if the new one has fewer recordings",
    )
    setting.add_argument(
        "--reason", metavar="TEXT", help="why the baseline is set; kept in the lake"
    )
    summary = "show the current baselines"
    show = actions.add_parser("show", help=summary, description=f"{summary.capitalize()}.")
    add_lake(show)


def execute(arguments: argparse.Namespace) -> int:
    """Set or show; returns 1 if there is nothing to set or to show."""
    from evaluation.gate.baselines import Smaller, set_baselines
    from evaluation.pairs.systems import Chosen
    from nightscribe.stages.run_ids import new_run_id

    lake = lake_of(arguments)
    if arguments.action == "set":
        for language in arguments.language:
            if stated_language(language) is None and language != UNDETERMINED:
                raise ConfigurationError(
                    f"--language {language!r}: is none of Whisper's: {nearest_language(language)}"
                )
        chosen = Chosen(
            dataset=arguments.dataset,
            languages=arguments.language,
            task=arguments.task,
            model=arguments.model,
            options_key=arguments.options_key,
        )
        try:
            added = set_baselines(
                lake, new_run_id(), chosen, arguments.reason, may_shrink=arguments.may_shrink
            )
        except Smaller as error:
            raise ConfigurationError(
                f"{error}: choose the model with --model, or add --may-shrink"
            ) from error
        if not added.num_rows:
            print("nothing to set: no selected transcript has a reference")
            return 1
    baselines = read(lake, _BASELINES)
    if not baselines.num_rows:
        print("no baseline is set: set one with `nightscribe baseline set`")
        return 1
    print_table(baselines.column_names, [row.values() for row in baselines.to_pylist()])
    return 0
