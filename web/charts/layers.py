"""A graph in layers: what is made from what, from left to right, each name a link."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from web.charts.chart import NARROW, WIDE, Chart, cut, svg, text

_ROW, _BOX = 44, 32


class Box(NamedTuple):
    """A node; ``inputs`` are the names of nodes before it, ``kind`` is a class of the style."""

    name: str
    label: str
    inputs: Sequence[str]
    href: str
    kind: str = ""


def layered(boxes: Sequence[Box], title: str) -> Chart:
    """Return the graph of nodes given with what each is made from first.

    A node is drawn in the layer after the last of its inputs.
    """
    layer: dict[str, int] = {}
    for box in boxes:
        layer[box.name] = max((layer[i] + 1 for i in box.inputs if i in layer), default=0)
    known = {box.name: box for box in boxes}
    return Chart(
        title,
        _wide(boxes, layer, title),
        _narrow(boxes, layer, title),
        ("Made", "From"),
        [
            (box.label, ", ".join(known[i].label for i in box.inputs if i in known) or "the log")
            for box in boxes
        ],
    )


def _wide(boxes: Sequence[Box], layer: dict[str, int], title: str) -> Markup:
    columns: dict[int, list[Box]] = {}
    for box in boxes:
        columns.setdefault(layer[box.name], []).append(box)
    # Every layer is one column; a long chain needs a wider sheet, which is scrolled.
    width = max(WIDE, 190 * len(columns))
    step = width / max(len(columns), 1)
    tallest = max((len(column) for column in columns.values()), default=1)
    place: dict[str, tuple[float, float]] = {}
    for number, column in columns.items():
        gap = tallest * _ROW / len(column)
        for i, box in enumerate(column):
            place[box.name] = step * number + 4, gap * (i + 0.5)
    room = step - 34
    edges = []
    for box in boxes:
        x, y = place[box.name]
        for name in box.inputs:
            if name in place:
                left, up = place[name][0] + room, place[name][1]
                bend = (x - left) / 2
                edges.append(
                    f'<path class="edge" stroke-width="1.5" d="M{left:.1f} {up:.1f}'
                    f'C{left + bend:.1f} {up:.1f} {x - bend:.1f} {y:.1f} {x:.1f} {y:.1f}"/>'
                )
    nodes = [_node(box, *place[box.name], room) for box in boxes]
    return svg(width, tallest * _ROW, title, [*edges, *nodes], native=width > WIDE)


def _narrow(boxes: Sequence[Box], layer: dict[str, int], title: str) -> Markup:
    """Return the nodes below one another, indented by their layer, with lines to their inputs."""
    deepest = max(layer.values(), default=0) or 1
    indent = min(22.0, 130 / deepest)
    place = {box.name: (indent * layer[box.name], _ROW * (i + 0.5)) for i, box in enumerate(boxes)}
    edges = []
    for box in boxes:
        x, y = place[box.name]
        for name in box.inputs:
            if name in place:
                left, up = place[name]
                edges.append(
                    f'<path class="edge" stroke-width="1.5" '
                    f'd="M{left + 6:.1f} {up + _BOX / 2:.1f}V{y:.1f}H{x:.1f}"/>'
                )
    nodes = [_node(box, *place[box.name], NARROW - place[box.name][0] - 2) for box in boxes]
    return svg(NARROW, _ROW * len(boxes), title, [*edges, *nodes])


def _node(box: Box, x: float, y: float, width: float) -> str:
    return (
        f'<a href="{escape(box.href, quote=True)}">'
        f'<rect class="node {box.kind}" x="{x:.1f}" y="{y - _BOX / 2:.1f}" width="{width:.1f}" '
        f'height="{_BOX}" rx="4"/>'
        + text(x + 8, y + 4.5, cut(box.label, width - 12), "name")
        + "</a>"
    )
