"""Hours of the week as a heat map, with the number in each cell that holds one."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from web.charts.chart import NARROW, WIDE, Chart, rect, short, svg, text

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHADES = 5


def week(counts: Sequence[Sequence[int]], title: str) -> Chart:
    """Return a chart of ``counts[day][hour]``: 7 days from Monday, 24 hours."""
    rows = [(day, *hours) for day, hours in zip(DAYS, counts, strict=True)]
    columns = ("Day", *(f"{hour:02d}" for hour in range(24)))
    return Chart(title, _wide(counts, title), _narrow(counts, title), columns, rows)


def _shade(count: int, top: int) -> int:
    return 0 if not count else 1 + min(_SHADES - 1, int((_SHADES - 0.01) * count / top))


def _wide(counts: Sequence[Sequence[int]], title: str) -> Markup:
    top = max(map(max, counts)) or 1
    cell, left = (WIDE - 44) / 24, 44
    parts = [text(left + cell * (h + 0.5), 12, f"{h:02d}", anchor="middle") for h in range(0, 24)]
    for day, hours in enumerate(counts):
        y = 20 + 27 * day
        parts.append(text(left - 8, y + 17, DAYS[day][:3], anchor="end"))
        for hour, count in enumerate(hours):
            x, shade = left + cell * hour, _shade(count, top)
            parts.append(rect(x, y, cell - 2, 25, f"heat{shade}"))
            if count:
                kind = "on" if shade >= 4 else "value"
                parts.append(text(x + cell / 2 - 1, y + 17, short(count), kind, "middle"))
    return svg(WIDE, 20 + 27 * 7 + 2, title, parts)


def _narrow(counts: Sequence[Sequence[int]], title: str) -> Markup:
    """Return the map turned: hours run down, so that cells keep a size one can read."""
    top = max(map(max, counts)) or 1
    cell, left = (NARROW - 30) / 7, 30
    parts = [text(left + cell * (d + 0.5), 12, DAYS[d][:3], anchor="middle") for d in range(7)]
    for hour in range(24):
        y = 20 + 23 * hour
        parts.append(text(left - 7, y + 15, f"{hour:02d}", anchor="end"))
        for day in range(7):
            count = counts[day][hour]
            x, shade = left + cell * day, _shade(count, top)
            parts.append(rect(x, y, cell - 2, 21, f"heat{shade}"))
            if count:
                kind = "on" if shade >= 4 else "value"
                parts.append(text(x + cell / 2 - 1, y + 15, short(count), kind, "middle"))
    return svg(NARROW, 20 + 23 * 24 + 2, title, parts)
