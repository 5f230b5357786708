"""The report's section on absolute limits, as text."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.gate.findings import Findings, limits_summary
from evaluation.gate.limits import limit_message

__all__ = ["LimitsView", "limits_view"]


@dataclass(frozen=True)
class LimitsView:
    """Everything in the section."""

    summary: str
    messages: list[str]


def limits_view(findings: Findings) -> LimitsView | None:
    """The section's text; None if no score has a limit."""
    if not findings.limits:
        return None
    beyond = sorted((one for one in findings.limits if one.is_beyond), key=lambda one: -one.closes)
    return LimitsView(
        summary=limits_summary(findings.limits),
        messages=[
            limit_message(one) if one.closes else f"warning: {limit_message(one)}" for one in beyond
        ],
    )
