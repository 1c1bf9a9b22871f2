"""The catalogue's part of the nightly: collect, settle, publish, export, report on the sources.

If PostgreSQL or a source does not answer, the nightly uses the catalogue of the night before, and
the run record states it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import msgspec
import psycopg

from batch.catalogue import scorecard
from batch.catalogue.export import export
from batch.catalogue.resettle import alone, settle
from batch.collectors.run import Request, collect, configured
from batch.content.view import publish
from batch.quality import QualityCheck
from batch.reports.publish import publish as publish_report
from batch.reports.report import Occasion
from batch.staging.source_figures import scorecard as measure
from contracts.errors import SegueError, first_line
from contracts.settings import Settings

#: Artists looked up a night at each source: about five minutes at Last.fm's pace.
LOOK_UPS = 500


class CatalogueOutcome(msgspec.Struct):
    """What the step did, in words, counts and checks."""

    detail: str
    rows: dict[str, int] = {}
    checks: list[QualityCheck] = []


def night(
    settings: Settings, day: date, progress: Callable[[str], None] = lambda word: None
) -> CatalogueOutcome:
    """Run the step; see the module. Never raises for a source or PostgreSQL that is away."""
    words: list[str] = []
    try:
        with psycopg.connect(
            settings.postgres_dsn, autocommit=True, connect_timeout=5
        ) as connection:
            known = connection.execute("select to_regclass('catalogue_track_cards')").fetchone()
            if known is None or known[0] is None:
                return CatalogueOutcome(
                    "PostgreSQL has no catalogue yet (segue init makes its tables)"
                )
            for source in configured(settings.home):
                progress(f"collecting from {source}")
                words.append(_collect(settings, source))
            with alone(connection):
                settle(connection, settings, progress=progress)
                progress("content view")
                view = publish(connection, settings.home)
                progress("lake")
                rows = export(connection, settings)
            figures = measure(connection)
    except psycopg.Error as error:
        return CatalogueOutcome(f"the catalogue stays as it was: PostgreSQL: {first_line(error)}")
    except (SegueError, OSError) as error:
        return CatalogueOutcome(f"the catalogue stays as it was: {error}")
    occasion = Occasion(day, datetime.now(UTC))
    publish_report(scorecard.draw(figures, occasion), settings.paths.reports, day)
    if view is not None:
        words.append(f"content view {view.generation} of {view.tracks:,} tracks")
        rows["content_view"] = view.tracks
    found = scorecard.checks(figures)
    unwell = [check.table for check in found if not check.ok]
    words.append(f"{len(found)} sources" + (f", look at {', '.join(unwell)}" if unwell else ""))
    return CatalogueOutcome("; ".join(words), rows, found)


def _collect(settings: Settings, source: str) -> str:
    request = Request(
        source=source,
        settings=settings,
        api="",
        token="",
        limit=LOOK_UPS,
    )
    try:
        outcome = collect(request)
    except SegueError as error:
        return f"{source}: {error}"
    staged = sum(outcome.staged.values())
    return f"{source} {outcome.outcome}, {outcome.tally.calls} calls, {staged} rows" + (
        f" ({outcome.error})" if outcome.error else ""
    )
