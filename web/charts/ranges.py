"""Ranges beside zero: what a difference is at least and at most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from web.charts.chart import NARROW, WIDE, Chart, cut, dot, rect, svg, text

_STEP = 34


class Range(NamedTuple):
    """One range, in per cent; ``low`` is at most ``value``, which is at most ``high``."""

    name: str
    low: float
    value: float
    high: float


def ranges(rows: Sequence[Range], what: str, finding: str) -> Chart:
    """Return a chart of ranges on one scale, with a line at zero.

    Parameters
    ----------
    what
        Head of the table's first column.
    finding
        Title.
    """
    return Chart(
        finding,
        _drawn(rows, finding, WIDE, 200.0),
        _drawn(rows, finding, NARROW, 110.0),
        (what, "At least (%)", "Difference (%)", "At most (%)"),
        [(row.name, round(row.low, 1), round(row.value, 1), round(row.high, 1)) for row in rows],
    )


def _drawn(rows: Sequence[Range], title: str, width: float, label: float) -> Markup:
    low = min((row.low for row in rows), default=0.0)
    high = max((row.high for row in rows), default=0.0)
    low, high = min(low, 0.0), max(high, 0.0)
    span = high - low or 1.0
    room = width - label - 16

    def at(value: float) -> float:
        return label + 8 + room * (value - low) / span

    height = _STEP * len(rows) + 26
    parts = [
        rect(at(0.0) - 0.5, 4, 1, height - 26, "zero"),
        text(at(0.0), height - 6, "0 %", "value", "middle"),
    ]
    for end, anchor in ((low, "start"), (high, "end")):
        if abs(at(end) - at(0.0)) > 80:  # nearer labels would overlap
            parts.append(text(at(end), height - 6, f"{end:+.0f} %", "", anchor))
    for i, row in enumerate(rows):
        y = _STEP * i + 20
        parts += [
            text(label, y + 4, cut(row.name, label - 4), "name", "end"),
            rect(at(row.low), y - 3, max(at(row.high) - at(row.low), 1), 6),
            dot(at(row.value), y, 5),
        ]
    return svg(width, height, title, parts)
