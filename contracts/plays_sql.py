"""The definitions of :mod:`contracts.plays` as SQL, for DuckDB and Snowflake.

Each function returns an expression over the columns it is given, so one text serves any alias. The
tests compare every expression with its Python function.
"""

from __future__ import annotations

from contracts.plays import (
    COUNTED_MS,
    FULL,
    LONGEST_MS,
    SHORTEST_MS,
    SKIP_BELOW,
    SKIPPED,
    USUAL_MS,
)


def known_length(duration_ms: str) -> str:
    """Return :func:`contracts.plays.known_length` as SQL."""
    return (
        f"(case when {duration_ms} between {SHORTEST_MS} and {LONGEST_MS} then {duration_ms} end)"
    )


def heard(ms_played: str, duration_ms: str, skipped: str) -> str:
    """Return :func:`contracts.plays.heard` as SQL; null instead of ``UNKNOWN``."""
    length = known_length(duration_ms)
    return f"""(case
    when {ms_played} >= 0 and {length} is not null
        then least({FULL}, cast(floor(100.0 * {ms_played} / {length}) as bigint))
    when {ms_played} >= 0 and (coalesce({skipped}, false) or {ms_played} < {COUNTED_MS})
        then least({FULL}, cast(floor(100.0 * {ms_played} / {USUAL_MS}) as bigint))
    when {skipped} then {SKIPPED}
    when not {skipped} then {FULL}
end)"""


def was_skipped(ms_played: str, duration_ms: str, skipped: str) -> str:
    """Return :func:`contracts.plays.was_skipped` as SQL."""
    return f"coalesce({skipped}, {heard(ms_played, duration_ms, skipped)} < {SKIP_BELOW})"


def heard_ms(ms_played: str, duration_ms: str, skipped: str) -> str:
    """Return :func:`contracts.plays.heard_ms` as SQL."""
    length = known_length(duration_ms)
    return f"""(case
    when coalesce({ms_played}, -1) < 0
        then case when coalesce({skipped}, false) then null else {length} end
    when {length} is not null then least({ms_played}, {length})
    when {ms_played} <= {LONGEST_MS} then {ms_played}
end)"""


def counts(ms_played: str, duration_ms: str, skipped: str) -> str:
    """Return :func:`contracts.plays.counts` as SQL."""
    half = f"cast(floor({known_length(duration_ms)} / 2.0) as bigint)"
    return f"""(case
    when {ms_played} >= 0 then {ms_played} >= least({COUNTED_MS}, coalesce({half}, {COUNTED_MS}))
    else not coalesce({skipped}, false)
end)"""
