"""A chart with its table, and the parts all charts are drawn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

#: Drawing units: a chart is drawn twice, for a desk and for a phone; the style shows one of them.
WIDE, NARROW = 720, 340
#: Width of a character of 13 units, on average; names are cut so that they fit, whole in the table.
CHARACTER = 7.1


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure.

    Attributes
    ----------
    title
        The finding in a sentence: what a screen reader reads instead of the picture.
    wide, narrow
        The two drawings.
    columns, rows
        The table below; cells are text or numbers.
    """

    title: str
    wide: Markup
    narrow: Markup
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


def svg(
    width: float, height: float, title: str, parts: Sequence[str], *, native: bool = False
) -> Markup:
    """Return a drawing; its parts must be escaped. A native one keeps its size and is scrolled.

    One with links is a group to a screen reader: a picture has no parts to go to.
    """
    role = "group" if any("<a " in part for part in parts) else "img"
    label = escape(title, quote=True)
    size = f' native" width="{width:g}" height="{height:g}' if native else ""
    return Markup(  # noqa: S704  built of escaped parts
        f'<svg class="chart{size}" viewBox="0 0 {width:g} {height:g}" role="{role}" '
        f'aria-label="{label}">'
        f"<title>{label}</title>{''.join(parts)}</svg>"
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return an SVG text element; `kind` is its class in the stylesheet."""
    named = f' class="{kind}"' if kind else ""
    turned = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{named}{turned}>{escape(words)}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str = "") -> str:
    """Return an SVG rectangle with rounded corners; `kind` is its class in the stylesheet."""
    named = f' class="{kind}"' if kind else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:g}" rx="2"{named}/>'


def dot(x: float, y: float, radius: float, kind: str = "dot") -> str:
    """Return an SVG circle; `kind` is its class in the stylesheet."""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'


def cut(words: str, width: float) -> str:
    """Return a text that fits, with an ellipsis where something is missing.

    Examples
    --------
    >>> cut("Copper Balcony", 60)
    'Copper…'
    """
    most = max(2, int(width / CHARACTER))
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def spaced(count: int, most: int) -> list[int]:
    """Return the indices of at most `most` of `count` marks: evenly apart, the last included.

    Examples
    --------
    >>> spaced(12, 8), spaced(3, 8)
    ([1, 3, 5, 7, 9, 11], [0, 1, 2])
    """
    step = max(1, math.ceil((count - 1) / max(1, most - 1)))
    return list(range(count - 1, -1, -step))[::-1]


def ticks(top: float, count: int = 4) -> list[float]:
    """Return round numbers from 0 to at least `top`.

    Examples
    --------
    >>> ticks(321)
    [0.0, 100.0, 200.0, 300.0, 400.0]
    """
    if top <= 0:
        return [0.0, 1.0]
    step = 10 ** math.floor(math.log10(top / count))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if top / (step * factor) <= count)
    return [float(round(i * step, 10)) for i in range(math.ceil(top / step) + 1)]


def short(value: float) -> str:
    """Return a number in few characters.

    Examples
    --------
    >>> short(21807), short(0.25), short(3)
    ('21.8k', '0.25', '3')
    """
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.3g}k"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.3g}"
