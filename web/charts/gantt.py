"""Spans on a common time axis: what ran when, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from web.charts.chart import NARROW, WIDE, Chart, cut, rect, short, svg, text, ticks

_STEP = 26


class Span(NamedTuple):
    """Something that ran, such as a step of the nightly.

    ``start`` is in seconds after the beginning of the chart. ``kind`` is a CSS class.
    """

    name: str
    start: float
    seconds: float
    state: str
    kind: str = ""


def gantt(spans: Sequence[Span], title: str) -> Chart:
    """Return a chart of spans, from the top in the order given."""
    return Chart(
        title,
        _wide(spans, title),
        _narrow(spans, title),
        ("Step", "State", "Began after (s)", "Lasted (s)"),
        [(s.name, s.state, round(s.start, 2), round(s.seconds, 2)) for s in spans],
    )


def _end(spans: Sequence[Span]) -> float:
    return max((span.start + span.seconds for span in spans), default=0.0) or 1.0


def _wide(spans: Sequence[Span], title: str) -> Markup:
    label = min(260.0, max((len(span.name) for span in spans), default=4) * 7.1 + 14)
    marks = ticks(_end(spans))
    room, top = WIDE - label - 64, marks[-1]
    height = _STEP * len(spans) + 26
    parts = []
    for mark in marks:
        x = label + room * mark / top
        parts.append(f'<path class="grid" d="M{x:.1f} 0V{height - 22}"/>')
        parts.append(text(x, height - 6, f"{short(mark)} s", anchor="middle"))
    for i, span in enumerate(spans):
        y, x = _STEP * i + 3, label + room * span.start / top
        width = max(room * span.seconds / top, 1.5)
        parts += [
            text(label - 10, y + 14, cut(span.name, label - 12), "name", "end"),
            rect(x, y, width, 18, span.kind),
            text(x + width + 6, y + 14, f"{short(round(span.seconds, 1))} s", "value"),
        ]
    return svg(WIDE, height, title, parts)


def _narrow(spans: Sequence[Span], title: str) -> Markup:
    """Return the SVG for narrow screens: each name above its bar, so that bars keep their width."""
    step, room, top = 40, NARROW - 62, _end(spans)
    parts = []
    for i, span in enumerate(spans):
        y, x = step * i + 2, room * span.start / top
        width = max(room * span.seconds / top, 1.5)
        parts += [
            text(0, y + 13, cut(span.name, NARROW - 4), "name"),
            rect(x, y + 18, width, 14, span.kind),
            text(x + width + 6, y + 30, f"{short(round(span.seconds, 1))} s", "value"),
        ]
    return svg(NARROW, step * len(spans) + 4, title, parts)
