"""Who is suspect, from the lake: the nightly model leaves them out as the learner does."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import duckdb

from batch.lake import Lake
from contracts.settings import Settings
from contracts.suspects import FINDING_DAYS, Suspect, Suspects

_ROWS = """
    select user_id, pattern, epoch_ms(started_at), epoch_ms(ended_at), plays
    from read_parquet($files, hive_partitioning = true) where landed_at > $since
"""


def suspects(settings: Settings, now: datetime | None = None) -> list[str]:
    """Return the listeners who are suspect now; none where Flink does not run.

    Raises
    ------
    StoreUnavailable
        The table cannot be read.
    """
    snapshot = Lake.of(settings, "suspects").on_disk()
    if snapshot is None or not snapshot.files:
        return []
    now = now or datetime.now(UTC)
    since = now - timedelta(days=FINDING_DAYS)
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        parameters = {"files": list(snapshot.files), "since": since}
        rows = connection.execute(_ROWS, parameters).fetchall()
    held = Suspects(clock=now.timestamp)
    for user, pattern, started, ended, plays in rows:
        held.add(
            Suspect(user_id=user, pattern=pattern, started_at=started, ended_at=ended, plays=plays)
        )
    return list(held)


def without(users: list[str]) -> str:
    """Return an SQL condition on ``user_id`` that leaves listeners out.

    It holds hashes and no names, so it needs no quoting, which differs between warehouses.
    """
    if not users:
        return "true"
    hashes = (hashlib.md5(user.encode(), usedforsecurity=False).hexdigest() for user in users)
    return f"md5(user_id) not in ({', '.join(map(repr, hashes))})"
