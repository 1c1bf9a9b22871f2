"""Bars from zero, in the order given, each with its value at the end."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from web.charts.chart import NARROW, WIDE, Chart, cut, rect, short, svg, text

_STEP = 28


class Bar(NamedTuple):
    """One bar; ``href`` makes its name a link."""

    name: str
    value: float
    href: str = ""


def bars(rows: Sequence[Bar], what: str, unit: str, finding: str = "") -> Chart:
    """Return a chart of named numbers.

    Parameters
    ----------
    what, unit
        Heads of the table's two columns.
    finding
        Title; without one the three greatest are named.
    """
    top = max((row.value for row in rows), default=0) or 1
    named = ", ".join(f"{row.name} {short(row.value)}" for row in rows[:3])
    title = finding or f"{unit} by {what.lower()}: {named}"
    return Chart(
        title,
        _wide(rows, top, title),
        _narrow(rows, top, title),
        (what, unit),
        [(row.name, row.value) for row in rows],
    )


def _wide(rows: Sequence[Bar], top: float, title: str) -> Markup:
    label = min(280.0, max((len(row.name) for row in rows), default=4) * 7.1 + 14)
    room = WIDE - label - 60
    parts = []
    for i, row in enumerate(rows):
        y, width = _STEP * i + 6, room * row.value / top
        name = text(label - 10, y + 14, cut(row.name, label - 12), "name", "end")
        parts += [
            _linked(name, row),
            rect(label, y, max(width, 1), 19),
            text(label + width + 7, y + 14, short(row.value), "value"),
        ]
    return svg(WIDE, _STEP * len(rows) + 8, title, parts)


def _narrow(rows: Sequence[Bar], top: float, title: str) -> Markup:
    parts, step, room = [], 44, NARROW - 58
    for i, row in enumerate(rows):
        y, width = step * i + 4, room * row.value / top
        parts += [
            _linked(text(0, y + 13, cut(row.name, NARROW - 4), "name"), row),
            rect(0, y + 19, max(width, 1), 15),
            text(width + 7, y + 31, short(row.value), "value"),
        ]
    return svg(NARROW, step * len(rows) + 2, title, parts)


def _linked(drawn: str, row: Bar) -> str:
    return f'<a href="{escape(row.href, quote=True)}">{drawn}</a>' if row.href else drawn
