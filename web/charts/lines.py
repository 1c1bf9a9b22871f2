"""Lines over time: at most four, named at the line; gaps are gaps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from web.charts.chart import (
    CHARACTER,
    NARROW,
    WIDE,
    Chart,
    cut,
    dot,
    short,
    spaced,
    svg,
    text,
    ticks,
)


class Line(NamedTuple):
    """A line: one value for each point of time, ``None`` where nothing is known."""

    name: str
    values: Sequence[float | None]


def lines(
    points: Sequence[datetime],
    series: Sequence[Line],
    title: str,
    form: str = "%d %b",
    unit: str = "",
) -> Chart:
    """Return a chart of at most four lines over time, from zero.

    Parameters
    ----------
    points
        Times of the values, ascending, in the reader's zone.
    form
        How times are written at the axis.
    """
    series = series[:4]
    sign = " %" if unit == "%" else ""
    columns = ("Time", *(line.name + (f" ({unit})" if unit else "") for line in series))
    rows = [
        (point.strftime("%d %b %Y, %H:%M"), *("–" if v is None else round(v, 4) for v in values))
        for point, *values in zip(points, *(line.values for line in series), strict=True)
    ]
    return Chart(
        title,
        _drawn(points, series, title, form, sign, WIDE, 240),
        _drawn(points, series, title, form, sign, NARROW, 220),
        columns,
        rows,
    )


def _drawn(
    points: Sequence[datetime],
    series: Sequence[Line],
    title: str,
    form: str,
    sign: str,
    width: int,
    height: int,
) -> Markup:
    known = [v for line in series for v in line.values if v is not None]
    marks = ticks(max(known, default=1))
    left = max(len(short(mark) + sign) for mark in marks) * CHARACTER + 8
    named = max((len(line.name) for line in series), default=0) * CHARACTER + 10
    right = min(named, width * 0.38) if len(series) > 1 else 12
    low, high = height - 26, 12
    room = width - left - right
    first, last = points[0].timestamp(), points[-1].timestamp()
    span = (last - first) or 1.0

    def at_x(i: int) -> float:
        return float(left + room * (points[i].timestamp() - first) / span)

    def at_y(value: float) -> float:
        return float(low - (low - high) * value / marks[-1])

    parts = []
    for mark in marks:
        y = at_y(mark)
        parts.append(f'<path class="grid" d="M{left:.1f} {y:.1f}H{left + room:.1f}"/>')
        parts.append(text(left - 6, y + 4, short(mark) + sign, anchor="end"))
    for i in spaced(len(points), max(2, int(room / 90))):
        anchor = "start" if i == 0 else "end" if i == len(points) - 1 else "middle"
        parts.append(text(at_x(i), height - 6, points[i].strftime(form), anchor=anchor))
    taken: list[float] = []
    for place, line in enumerate(series):
        pieces, pen = [], "M"
        for i, value in enumerate(line.values):
            if value is None:
                pen = "M"
                continue
            pieces.append(f"{pen}{at_x(i):.1f} {at_y(value):.1f}")
            pen = "L"
        parts.append(f'<path class="line s{place}" d="{"".join(pieces)}"/>')
        ends = [(i, v) for i, v in enumerate(line.values) if v is not None]
        parts += [  # a point between gaps has no line
            dot(at_x(i), at_y(v), 3, f"dot s{place}")
            for i, v in ends
            if not any(0 <= j < len(points) and line.values[j] is not None for j in (i - 1, i + 1))
        ]
        if ends and len(series) > 1:
            y = at_y(ends[-1][1]) + 4
            while any(abs(y - other) < 14 for other in taken):
                y += 3
            taken.append(y)
            parts.append(
                f'<text class="name s{place}" x="{left + room + 6:.1f}" y="{y:.1f}">'
                f"{escape(cut(line.name, right - 6))}</text>"
            )
    return svg(width, height, title, parts)
