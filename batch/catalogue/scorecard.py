"""The scorecard of sources for the nightly: checks for the run's record, and a report to read."""

from __future__ import annotations

from collections.abc import Sequence

from batch.quality import QualityCheck
from batch.reports.report import Column, Occasion, Report, Table
from batch.staging.source_figures import SourceFigures

NAME = "sources"
_SOURCES = (
    Column("source", "Source"),
    Column("rows", "Staged rows", "count"),
    Column("age_days", "Days since the newest", "tenths"),
    Column("failure_rate", "Calls failed", "percent"),
    Column("refused", "Records refused", "count"),
    Column("drift", "Differences from the contract", "count"),
    Column("anomalies", "What stands out"),
)
_FIELDS = (
    Column("source", "Source"),
    Column("field", "Field"),
    Column("known", "Rows that know it", "percent"),
)


def checks(figures: Sequence[SourceFigures]) -> list[QualityCheck]:
    """Return one check a source: a warning where something stands out.

    A source that is not well costs points and a word, never the night: the warehouse is built from
    plays.
    """
    return [
        QualityCheck(
            table=f"source.{each.source}",
            name="sound",
            ok=not each.anomalies,
            severity="warn",
            detail="; ".join(each.anomalies)
            or f"{sum(each.rows.values()):,} rows, {each.failure_rate:.1%} of calls failed",
        )
        for each in figures
    ]


def draw(figures: Sequence[SourceFigures], occasion: Occasion) -> Report:
    """Draw the report of all sources: completeness, freshness, failures, what stands out."""
    unwell = [each.source for each in figures if each.anomalies]
    return Report(
        name=NAME,
        title="Sources",
        summary="What each source contributed to the catalogue, how complete and fresh it is.",
        facts={
            "Sources": len(figures),
            "Staged rows": sum(sum(each.rows.values()) for each in figures),
            "Records refused": sum(each.refused for each in figures),
            "Look at": ", ".join(unwell) or "none",
        },
        figures=[],
        tables=[
            Table(
                "sources",
                "Every source",
                _SOURCES,
                [
                    (
                        each.source,
                        sum(each.rows.values()),
                        each.age_days,
                        each.failure_rate,
                        each.refused,
                        each.drift,
                        "; ".join(each.anomalies),
                    )
                    for each in figures
                ],
            ),
            Table(
                "completeness",
                "How complete their rows are",
                _FIELDS,
                [
                    (each.source, field, share)
                    for each in figures
                    for field, share in each.completeness.items()
                    if share > 0
                ],
            ),
        ],
        generated_at=occasion.generated_at,
        lake_version=occasion.lake_version,
    )
