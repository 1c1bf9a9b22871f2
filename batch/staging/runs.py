"""Figures of collection runs, kept for the scorecard."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import psycopg

from batch.collectors.tally import Tally


def note_run(
    connection: psycopg.Connection[Any],
    *,
    source: str,
    what: str,
    started_at: datetime,
    outcome: str,
    tally: Tally,
    plays: int = 0,
) -> None:
    """Write a run down; `outcome` is ``finished``, ``open`` (to be resumed) or ``failed``."""
    connection.execute(
        "insert into collection_runs "
        "(source, what, started_at, outcome, calls, attempts, failed, plays, tally) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb)",
        (
            source,
            what,
            started_at,
            outcome,
            tally.calls,
            tally.attempts,
            sum(tally.failed.values()),
            plays,
            msgspec.json.encode(tally).decode(),
        ),
    )
