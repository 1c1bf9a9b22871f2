"""The neighbourhood of a track as the model sees it: nearer is more alike, each name is a link."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from web.charts.chart import NARROW, WIDE, Chart, cut, dot, svg, text


class Neighbour(NamedTuple):
    """A track beside another; ``score`` is from 0 to 1."""

    name: str
    by: str
    score: float
    href: str


def neighbourhood(centre: str, found: Sequence[Neighbour]) -> Chart:
    """Return a small graph to walk along."""
    title = f"Nearest to “{centre}”: " + ", ".join(
        f"{n.name} by {n.by} ({n.score:.2f})" for n in found[:3]
    )
    return Chart(
        title,
        _wide(centre, found, title),
        _narrow(centre, found, title),
        ("Track", "Artist", "How near (0 to 1)"),
        [(n.name, n.by, round(n.score, 3)) for n in found],
    )


def _wide(centre: str, found: Sequence[Neighbour], title: str) -> Markup:
    width, height = WIDE, 330
    middle, half = width / 2, height / 2
    top = max((n.score for n in found), default=1) or 1
    parts, names = [], []
    for i, near in enumerate(found):
        # Alternately left and right, so that names have room.
        side = 1 if i % 2 else -1
        rows = math.ceil(len(found) / 2)
        row = i // 2
        y = half + (row - (rows - 1) / 2) * (height - 40) / max(rows, 1)
        x = middle + side * (70 + 100 * (1 - near.score / top))
        parts.append(
            f'<path class="edge" d="M{middle:.1f} {half:.1f}L{x:.1f} {y:.1f}" '
            f'stroke-width="{1 + 4 * near.score / top:.1f}"/>'
        )
        parts.append(dot(x, y, 6))
        anchor = "end" if side < 0 else "start"
        room = (x - 16) if side < 0 else (width - x - 16)
        names.append(
            f'<a href="{escape(near.href, quote=True)}">'
            + text(x + side * 13, y - 1, cut(near.name, room), "name", anchor)
            + text(x + side * 13, y + 15, cut(near.by, room), "", anchor)
            + "</a>"
        )
    parts.append(f'<circle class="centre" cx="{middle:.1f}" cy="{half:.1f}" r="11"/>')
    return svg(width, height, title, [*parts, *names])


def _narrow(centre: str, found: Sequence[Neighbour], title: str) -> Markup:
    top = max((n.score for n in found), default=1) or 1
    step, parts = 46, [text(30, 21, cut(centre, NARROW - 34), "name")]
    for i, near in enumerate(found):
        y = 62 + step * i
        x = 40 + 60 * (1 - near.score / top)
        weight = 1 + 3 * near.score / top
        parts.append(f'<path class="edge" d="M12 16V{y}H{x:.1f}" stroke-width="{weight:.1f}"/>')
        parts.append(dot(x, y, 5))
        parts.append(
            f'<a href="{escape(near.href, quote=True)}">'
            + text(x + 11, y - 1, cut(near.name, NARROW - x - 14), "name")
            + text(x + 11, y + 15, cut(near.by, NARROW - x - 14))
            + "</a>"
        )
    parts.append(dot(12, 16, 9, "centre"))
    return svg(NARROW, 40 + step * len(found), title, parts)
