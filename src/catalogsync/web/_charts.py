"""Charts of a job's runs, as images without scripts."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import attrs
import pygal  # type: ignore[import-untyped]
from pygal.style import Style  # type: ignore[import-untyped]

from catalogsync._lib.texts import counted, duration
from catalogsync.state.protocols import RunRecord
from catalogsync.state.stats import trends

_WIDTH, _HEIGHT = 340, 180
_FONT = "system-ui, sans-serif"
_SHOWN = "%d %b %H:%M"
_CSS = """
text { fill: #454b54 }
text.no_data { text-anchor: middle }
.background { fill: none }
.axis.x text { text-anchor: middle }
.axis.x .guides:first-of-type text { text-anchor: start }
.axis.x .guides:last-of-type text { text-anchor: end }
.axis.x .guides:only-of-type text { text-anchor: middle }
.axis.y text { text-anchor: end }
.guide.line, .axis .line { fill: none; stroke: #c9ced6 }
.axis.x .line { stroke: none }
rect.rect { fill: #2456b8 }
.tooltip { visibility: hidden }
@media (prefers-color-scheme: dark) {
  text { fill: #b9c0cc }
  .guide.line, .axis .line { stroke: #434a57 }
  rect.rect { fill: #8ab4ff }
}
"""


@attrs.frozen
class Chart:
    """A chart."""

    title: str
    trend: str
    show: Callable[[float], str] = "{:.4g}".format

    def values(self, runs: Sequence[RunRecord]) -> Sequence[float | None]:
        """The value of each run."""
        (trend,) = (each for each in trends(runs) if each.name == self.trend)
        return trend.values


CHARTS = MappingProxyType(
    {
        "duration": Chart("Duration", "seconds", duration),
        "speed": Chart("Products/s", "products/s", "{:.4g}/s".format),
        "created": Chart("Created", "created"),
        "updated": Chart("Updated", "updated"),
        "failed": Chart("Failed", "failed"),
    }
)
"""Charts by their name in the path."""


def alt_text(chart: Chart, runs: Sequence[RunRecord]) -> str:
    """The chart as text."""
    known = [value for value in chart.values(runs) if value is not None]
    if not known:
        return f"{chart.title}: no finished runs yet"
    last, most = chart.show(known[-1]), chart.show(max(known))
    runs_shown = counted(len(known), "run")
    return f"{chart.title} of {runs_shown}: latest {last}, maximum {most}"


def draw(chart: Chart, runs: Sequence[RunRecord]) -> bytes:
    """The chart as an SVG image for light and dark pages."""
    values = chart.values(runs)
    plot: Any = pygal.Bar(
        css=[f"inline:{_CSS}"],
        js=[],
        style=Style(font_family=_FONT, label_font_size=12, no_data_font_size=16),
        width=_WIDTH,
        height=_HEIGHT,
        margin=8,
        truncate_label=-1,
        show_legend=False,
        no_prefix=True,
        no_data_text="no finished runs yet",
        value_formatter=chart.show,
        x_labels=_moments(runs),
        y_labels=_steps(values),
    )
    plot.add(chart.title, values)
    plot.add_xml_filter(partial(_finish, chart.title))
    drawn: bytes = plot.render()
    return drawn


def _moments(runs: Sequence[RunRecord]) -> list[str]:
    """Labels: the start of the first and the last run, the others empty.

    With two runs, only the last has a label: there is no room for both.
    """
    moments = [dt.datetime.fromtimestamp(run.started_at, dt.UTC) for run in runs]
    ends = {0, len(runs) - 1} if len(runs) > 2 else {len(runs) - 1}
    return [f"{at:{_SHOWN}}" if n in ends else "" for n, at in enumerate(moments)]


def _steps(values: Sequence[float | None]) -> list[float]:
    """The values of the horizontal lines: zero, the middle and the top."""
    most = max((value for value in values if value is not None), default=0.0) or 1.0
    step = 10 ** math.floor(math.log10(most))
    top = next(n * step for n in (2, 4, 6, 8, 10) if n * step >= most)
    return [0.0, top / 2, top]


def _finish(title: str, root: Any) -> Any:
    """Set the title, and remove the script that the library adds."""
    root.find("title").text = title
    defs = root.find("defs")
    defs.remove(defs.find("script"))
    del root.attrib["id"]
    return root
