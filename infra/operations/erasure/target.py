"""What is to be forgotten."""

from __future__ import annotations

from dataclasses import dataclass

#: Table of the log -> the column that says when a row was received.
RECEIVED = {"plays": "received_at", "feedback": "given_at", "impressions": "shown_at"}

#: Days for which Snowflake's support can still restore permanent tables after time travel.
FAIL_SAFE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Target:
    """One listener, or one play of one.

    Attributes
    ----------
    before_ms
        Milliseconds since the epoch, UTC: what was received later is new and stays.
    event_id
        The one play; ``None``: everything.
    """

    user_id: str
    before_ms: int
    event_id: str | None = None
