"""Set or show the transcripts that later ones must not fall behind.

`set` keeps, of each data set, language and task, the transcripts of the model and options that
were used last, among those chosen; it moves baselines that are there. `nightscribe evaluate` and
the DAG compare with them from then on.

examples:
  nightscribe baseline set --lake /data/lake --reason "large-v3, before the upgrade"
  nightscribe baseline set --lake /data/lake --language zh --language ja --model large-v3
  nightscribe baseline show --lake /data/lake
"""

from __future__ import annotations

import argparse

from nightscribe.cli.lake_arguments import add_lake, lake_of
from nightscribe.cli.tables import print_table
from nightscribe.errors import ConfigurationError
from nightscribe.lake.reading import read

_SHOWN = """
SELECT dataset, language, task, any_value(model) AS model, any_value(options_key)[:8] AS options,
    count(*) AS recordings, strftime(any_value(created_at), '%Y-%m-%d %H:%M') AS set_at,
    any_value(reason) AS reason
FROM latest_baselines
GROUP BY dataset, language, task
ORDER BY ALL
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which transcripts."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="set|show")
    show = actions.add_parser("show", help="the baselines in force", description="Show them.")
    add_lake(show)
    setting = actions.add_parser(
        "set", help="make the newest transcripts the baseline", description="Set or move them."
    )
    add_lake(setting)
    setting.add_argument("--dataset", metavar="NAME", help="of this data set alone")
    setting.add_argument(
        "--language", action="append", default=[], metavar="CODE", help="repeatable"
    )
    setting.add_argument("--task", choices=["transcribe", "translate"])
    setting.add_argument("--model", help="name, path, or beginning of the model_id")
    setting.add_argument("--options-key", metavar="KEY", help="or its beginning")
    setting.add_argument(
        "--may-shrink",
        action="store_true",
        help="also where it has fewer recordings than the one that it replaces",
    )
    setting.add_argument("--reason", metavar="TEXT", help="kept in the lake, for those who ask")


def execute(arguments: argparse.Namespace) -> int:
    """Set or show; 1 if there is nothing to set or to show."""
    from evaluation.gate.baselines import Smaller, set_baselines
    from evaluation.pairs.systems import Chosen
    from nightscribe.stages.run_ids import new_run_id

    lake = lake_of(arguments)
    if arguments.action == "set":
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
                f"{error}: name the model with --model, or say --may-shrink"
            ) from error
        if not added.num_rows:
            print("nothing to set: no transcript that was chosen has a reference")
            return 1
    found = read(lake, _SHOWN)
    if not found.num_rows:
        print("no baseline is set: `nightscribe baseline set` makes one")
        return 1
    print_table(found.column_names, [row.values() for row in found.to_pylist()])
    return 0
