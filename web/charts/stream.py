"""Shares over time as a stream: bands around a middle line, as thick as what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from markupsafe import Markup

from web.charts.chart import NARROW, WIDE, Chart, cut, spaced, svg, text
from web.charts.lines import Line


def stream(
    points: Sequence[date], series: Sequence[Line], title: str, form: str = "%b %y"
) -> Chart:
    """Return a chart of at most six bands; ``points`` are at least two."""
    series = series[:6]
    columns = ("Month", *(line.name for line in series))
    rows = [
        (point.strftime("%B %Y"), *(int(value or 0) for value in values))
        for point, *values in zip(points, *(line.values for line in series), strict=True)
    ]
    wide, narrow = (
        _drawn(points, series, title, form, *size) for size in ((WIDE, 300), (NARROW, 260))
    )
    return Chart(title, wide, narrow, columns, rows)


def _drawn(
    points: Sequence[date], series: Sequence[Line], title: str, form: str, width: int, height: int
) -> Markup:
    sums = [sum(line.values[i] or 0 for line in series) for i in range(len(points))]
    scale = (height - 50) / (max(sums, default=0) or 1)
    middle = (height - 30) / 2
    step = width / (len(points) - 1)
    floors = [middle - total * scale / 2 for total in sums]
    parts, names = [], []
    for place, line in enumerate(series):
        sizes = [(value or 0) * scale for value in line.values]
        tops = [(step * i, y) for i, y in enumerate(floors)]
        lows = [(step * i, y + size) for i, (y, size) in enumerate(zip(floors, sizes, strict=True))]
        edge = "L".join(f"{x:.1f} {y:.1f}" for x, y in [*tops, *reversed(lows)])
        parts.append(f'<path class="band b{place}" d="M{edge}Z"/>')
        widest = max(range(len(sizes)), key=lambda i: sizes[i])
        if sizes[widest] >= 14:
            x, y = step * widest, floors[widest] + sizes[widest] / 2 + 4
            anchor = "start" if widest == 0 else "end" if widest == len(points) - 1 else "middle"
            names.append(text(x, y, cut(line.name, width / 2.5), "name", anchor))
        floors = [y for _, y in lows]
    for i in spaced(len(points), int(width / 90)):
        anchor = "start" if i == 0 else "end" if i == len(points) - 1 else "middle"
        parts.append(text(step * i, height - 6, points[i].strftime(form), anchor=anchor))
    return svg(width, height, title, [*parts, *names])
