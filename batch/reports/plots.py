"""The look of the plots: one palette, light axes, text kept as text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

INK = "#1f2933"
FAINT = "#9aa5b1"
ACCENT = "#2f6f8f"
SECOND = "#d98e4a"

_STYLE: dict[str, Any] = {
    # Text stays text: selectable, sharp, and set in the reader's own sans-serif.
    "svg.fonttype": "none",
    # Ids come from this salt, so the same data gives the same bytes.
    "svg.hashsalt": "segue",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica Neue", "Arial", "DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "text.parse_math": False,  # an artist may be called $uicideboy$
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


@contextmanager
def drawing(width: float = 7.6, height: float = 3.2) -> Iterator[tuple[Canvas, Any]]:
    """Open a canvas of ``width`` x ``height`` inches in the house style; yields (canvas, axes)."""
    with mpl.rc_context(cast(Any, _STYLE)):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        yield canvas, canvas.subplots()


def by_date(axes: Any) -> None:
    """Label the horizontal axis with few, short dates."""
    locator = mpl.dates.AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mpl.dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def to_svg(canvas: Canvas) -> str:
    """Return the canvas as one ``<svg>`` element that scales to its container."""
    text = io.StringIO()
    FigureCanvasSVG(canvas).print_svg(text, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    svg = text.getvalue()
    return svg[svg.index("<svg") :].strip()


def bars(labels: Sequence[str], values: Sequence[float], *, axis: str, title: str) -> str:
    """Draw one horizontal bar a label, the first on top, each with its value written out."""
    with drawing(height=0.6 + 0.29 * max(len(labels), 3)) as (canvas, axes):
        places = range(len(labels))
        drawn = axes.barh(places, values, color=ACCENT, height=0.68)
        axes.bar_label(drawn, labels=[f"{value:,.0f}" for value in values], padding=4)
        axes.set_yticks(places, [_short(label) for label in labels])
        axes.set_xlabel(axis)
        axes.set_title(title, loc="left", fontsize=11, color=INK)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.1)
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))
        return to_svg(canvas)


def _short(label: str, most: int = 32) -> str:
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"
