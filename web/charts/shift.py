"""Two lists side by side, with a line from each track's place in one to its place in the other."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from web.charts.chart import NARROW, WIDE, Chart, cut, svg, text

_STEP = 26


class Row(NamedTuple):
    """A track of a list; ``other`` is its place in the other one, from 1, ``None``: not there."""

    name: str
    by: str
    other: int | None
    href: str


def shift(left: Sequence[Row], right: Sequence[Row], heads: tuple[str, str]) -> Chart:
    """Return two columns of tracks with lines between.

    Parameters
    ----------
    heads
        What the two lists are.
    """
    came = [row.name for row in right if row.other is None]
    went = [row.name for row in left if row.other is None]
    moved = sum(1 for place, row in enumerate(right, 1) if row.other not in (None, place))
    title = (
        f"{heads[1]}, beside {heads[0].lower()}: {len(came)} came, {len(went)} went, {moved} moved"
    )
    rows = [
        (f"{row.name} · {row.by}", "–" if row.other is None else row.other, place)
        for place, row in enumerate(right, 1)
    ] + [
        (f"{row.name} · {row.by}", place, "–")
        for place, row in enumerate(left, 1)
        if row.other is None
    ]
    wide, narrow = (_drawn(left, right, heads, title, width) for width in (WIDE, NARROW))
    return Chart(title, wide, narrow, ("Track", f"Place: {heads[0]}", f"Place: {heads[1]}"), rows)


def _drawn(
    left: Sequence[Row], right: Sequence[Row], heads: tuple[str, str], title: str, width: int
) -> Markup:
    gap = 150 if width == WIDE else 64
    room = (width - gap) / 2
    ends = room + 6, width - room - 6
    parts = [
        text(room, 14, cut(heads[0], room), "", "end"),
        text(width - room, 14, cut(heads[1], room)),
    ]
    for place, row in enumerate(left):
        parts.append(_name(row, f"{cut(row.name, room - 26)}  {place + 1}", room, place, "end"))
        if row.other is not None:
            y, end = _y(place) - 4, _y(row.other - 1) - 4
            kind = "edge" if row.other - 1 == place else "line"
            parts.append(
                f'<path class="{kind}" d="M{ends[0]:.1f} {y:.1f}C{ends[0] + gap / 3:.1f} {y:.1f} '
                f'{ends[1] - gap / 3:.1f} {end:.1f} {ends[1]:.1f} {end:.1f}"/>'
            )
    for place, row in enumerate(right):
        words = f"{place + 1}  {cut(row.name, room - 26)}"
        parts.append(_name(row, words, width - room, place, "start"))
    height = _STEP * max(len(left), len(right), 1) + 26
    return svg(width, height, title, parts)


def _y(place: int) -> float:
    return _STEP * place + 38.0


def _name(row: Row, words: str, x: float, place: int, anchor: str) -> str:
    # A track of one list alone is bold: it came or it went.
    kind = "name" if row.other is not None else "name alone"
    drawn = text(x, _y(place), words, kind, anchor)
    return f'<a href="{escape(row.href, quote=True)}">{drawn}</a>'
