"""The look of the plots: one palette, light axes, text kept as text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, cast

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

INK = "#1f2933"
FAINT = "#9aa5b1"
ACCENT = "#2f6f8f"
SECOND = "#d98e4a"
#: Inches.
_WIDTH = 7.6
#: Letters of a label.
_LONGEST = 32

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
def drawing(height: float = 3.2) -> Iterator[tuple[Canvas, Any]]:
    """Open a canvas of this ``height`` in inches in the house style; yields (canvas, axes)."""
    with mpl.rc_context(cast(Any, _STYLE)):
        canvas = Canvas(figsize=(_WIDTH, height), layout="constrained")
        axes = canvas.subplots()
        numbered(axes.xaxis)
        numbered(axes.yaxis)
        yield canvas, axes


def numbered(axis: Any) -> None:
    """Write the numbers of an axis as tables do: 1,500 and 0.5."""
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def by_date(axes: Any) -> None:
    """Label the horizontal axis with few, short dates."""
    locator = mpl.dates.AutoDateLocator(minticks=3, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mpl.dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def by_day(
    days: Sequence[date], lines: Mapping[str, Sequence[float]], *, day: str, axis: str, title: str
) -> str:
    """Draw a line for each name over days, the first strongest; several get a legend."""
    with drawing(height=2.6) as (canvas, axes):
        # Backwards, so that the first lies on top.
        for place, (name, values) in reversed(list(enumerate(lines.items()))):
            color, width = ((ACCENT, 1.8), (SECOND, 1.2))[min(place, 1)]
            axes.plot(
                days, values, color=color, linewidth=width, marker="o", markersize=3, label=name
            )
        if len(lines) > 1:
            drawn, names = axes.get_legend_handles_labels()
            axes.legend(
                drawn[::-1],
                names[::-1],
                loc="lower right",
                bbox_to_anchor=(1, 1),
                frameon=False,
                ncols=len(lines),
            )
        axes.set_ylim(bottom=0)
        axes.set_xlabel(day)
        axes.set_ylabel(axis)
        axes.set_title(title, loc="left", fontsize=11, color=INK)
        by_date(axes)
        return to_svg(canvas)


def columns(
    places: Sequence[int],
    values: Sequence[float],
    *,
    place: str,
    axis: str,
    title: str,
    ticks: Mapping[int, str] | None = None,
) -> str:
    """Draw one upright bar a place, the largest in colour.

    ``ticks`` names some of the places; without it each has its number.
    """
    with drawing(height=2.6) as (canvas, axes):
        most = max(values, default=0)
        axes.bar(places, values, color=[ACCENT if v == most else FAINT for v in values], width=0.8)
        names = ticks or {number: f"{number}" for number in places}
        axes.set_xticks(list(names), list(names.values()))
        axes.set_xlabel(place)
        axes.set_ylabel(axis)
        axes.set_title(title, loc="left", fontsize=11, color=INK)
        axes.grid(axis="x", visible=False)
        return to_svg(canvas)


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


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1].rstrip() + "…"
