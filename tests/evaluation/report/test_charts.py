"""Charts as SVG: what they show, and what they leave alone."""

from __future__ import annotations

import matplotlib

from evaluation.report.charts import Bar, bar_chart


def test_bars_beyond_the_axis_still_show_their_value() -> None:
    bars = [Bar("good", 5, 4, 6, "WER"), Bar("looping", 812.3, 500, 900, "WER")]
    chart = bar_chart(bars, axis="%", limit=100, name="c", title='a "title" & more')
    assert "812 →" in chart
    assert 'aria-label="a &quot;title&quot; &amp; more"' in chart
    assert "#010101" not in chart


def test_charts_leave_matplotlibs_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    bar_chart([Bar("x", 1, None, None, "WER")], axis="%", limit=100, name="c", title="t")
    assert dict(matplotlib.rcParams) == before
