"""Flags of a command line: lists that every occurrence extends, and values that are given once.

A flag that takes a list takes several values and may be repeated: `--archives a b --archives c`
gives a, b and c. Where no value can have a comma, such as a format or a code, commas separate
values, too.

A flag that takes one value refuses a second one that differs, instead of ignoring the first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from typing import Any

__all__ = ["Parser", "add_list", "separated"]


class Parser(argparse.ArgumentParser):
    """A parser whose flags with one value may be given once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register("action", None, _Once)

    def let_the_last_count(self) -> None:
        """Let flags that are added from now on be repeated, as argparse does: the last counts."""
        self.register("action", None, argparse._StoreAction)


class _Once(argparse.Action):
    """Stores the value of a flag; refuses another one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given: dict[str, Any] = vars(namespace).setdefault("_given", {})
        if option_string is not None and given.setdefault(self.dest, values) != values:
            raise argparse.ArgumentError(
                self, f"given twice, as {given[self.dest]} and {values}: give one"
            )
        setattr(namespace, self.dest, values)


class _Extend(argparse.Action):
    """Adds the values of each occurrence to the list, each value once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        added = [one for value in values for one in ([value] if isinstance(value, str) else value)]
        known = getattr(namespace, self.dest)
        setattr(namespace, self.dest, list(dict.fromkeys([*known, *added])))


def add_list(
    parser: argparse._ActionsContainer,
    flag: str,
    *,
    help: str,
    metavar: str,
    type: Callable[[str], Any] = str,
    required: bool = False,
) -> None:
    """Add a flag that takes several values and may be repeated. Its default is an empty list.

    Args:
        type: `separated(…)` for a flag whose values may be separated by commas, too
    """
    parser.add_argument(
        flag,
        nargs="+",
        action=_Extend,
        default=[],
        type=type,
        required=required,
        metavar=metavar,
        help=f"{help}; repeatable",
    )


def separated(choices: Collection[str] = ()) -> Callable[[str], list[str]]:
    """A type for `add_list`: values with commas between them; of these choices, if there are any.

    >>> separated()("de, fr")
    ['de', 'fr']
    """

    def values(text: str) -> list[str]:
        found = [part.strip() for part in text.split(",") if part.strip()]
        for one in found:
            if choices and one not in choices:
                raise argparse.ArgumentTypeError(f"{one!r}: choose from {', '.join(choices)}")
        if choices and not found:
            raise argparse.ArgumentTypeError(f"{text!r}: choose from {', '.join(choices)}")
        return found

    return values
