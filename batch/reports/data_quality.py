"""How far the data can be trusted: points by table, every check, and what was rejected."""

from __future__ import annotations

from batch.ask import Ask
from batch.quality import ADVICE, GATE, check_built, check_raw, score
from batch.reports.plots import ACCENT, INK, SECOND, drawing, to_svg
from batch.reports.report import Cell, Column, Figure, Kind, Occasion, Report, Table

_CHECKS = (
    Column("table", "Table"),
    Column("check", "Check"),
    Column("result", "Result"),
    Column("detail", "What was found, and what to do"),
)
_REASONS = (
    Column("reasons", "Rules broken"),
    Column("deliveries", "Deliveries", "count"),
    Column("newest", "Newest landed"),
)

_REJECTED = """
select reject_reasons, count(*) as deliveries, max(landed_at)
from staging.stg_segue__plays_rejected
group by reject_reasons
order by deliveries desc, reject_reasons
limit 50
"""


def draw(ask: Ask, occasion: Occasion) -> Report:
    """Draw the report; the checks run again, so it shows the state from which it was drawn."""
    checks = check_raw(ask, occasion.generated_at) + check_built(ask)
    points = score(checks)
    rows: list[tuple[Cell, ...]] = [
        (
            c.table,
            c.name,
            "passed" if c.ok else {"error": "failed"}.get(c.severity, "warning"),
            c.detail if c.ok else f"{c.detail}; {ADVICE[c.name]}",
        )
        for c in checks
    ]
    rejected = ask(_REJECTED)
    failed = [check for check in checks if not check.ok]
    return Report(
        name=KIND.name,
        title="Data quality",
        summary=f"{len(checks)} checks of {len(points)} tables; a table passes with {GATE:.0f} "
        "points.",
        facts={
            "Lowest score": round(min(points.values())),
            "Checks passed": f"{len(checks) - len(failed)} of {len(checks)}",
            "Deliveries rejected": sum(row[1] for row in rejected),
        },
        figures=[
            Figure(
                "Points by table",
                _points(points),
                f"A table below {GATE:.0f} points stops the nightly.",
            )
        ],
        tables=[
            Table("checks", "Every check", _CHECKS, rows),
            Table("rejected", "Why deliveries were rejected", _REASONS, rejected),
        ],
        generated_at=occasion.generated_at,
        lake_version=occasion.lake_version,
    )


def _points(points: dict[str, float]) -> str:
    with drawing(height=0.8 + 0.29 * len(points)) as (canvas, axes):
        colors = [ACCENT if value >= GATE else SECOND for value in points.values()]
        drawn = axes.barh(range(len(points)), list(points.values()), color=colors, height=0.68)
        axes.bar_label(drawn, fmt="%.0f", padding=4)
        axes.axvline(GATE, color=INK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(points)), list(points))
        axes.set_xlim(0, 108)
        axes.set_xlabel("Points (0 to 100)")
        axes.set_title("Points by table", loc="left", fontsize=11, color=INK)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        return to_svg(canvas)


KIND = Kind("data-quality", "Points by table, every check, rejected deliveries.", draw)
