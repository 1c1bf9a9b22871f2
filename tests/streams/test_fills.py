"""Merging two reports of one event: Python and SQL agree."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from streams.duplicates import ReportedPlay, fill
from streams.fills import FILLS, expressions
from tests.streams.test_duplicates import START, told

_TYPES = {
    "played_at": "timestamptz",
    "album": "text",
    "ms_played": "bigint",
    "duration_ms": "bigint",
    "skipped": "boolean",
    "extra": "text",
    "name_key": "bigint",
    "clients": "text[]",
}
_texts = st.none() | st.sampled_from(["", "Ärger", "moon", "Moon"])
_sets = st.sets(st.sampled_from(["a", "B", "é", "z"]), min_size=1)
_reports = st.builds(
    told,
    st.just(0),
    played_at=st.integers(-9, 9).map(lambda n: START + timedelta(milliseconds=n)),
    album=_texts,
    ms_played=st.none() | st.integers(0, 9),
    duration_ms=st.none() | st.integers(0, 9),
    skipped=st.none() | st.booleans(),
    extra=_texts,
    name_key=st.none() | st.integers(-3, 3),
    clients=_sets.map(sorted),
)


def by_sql(known: ReportedPlay, later: ReportedPlay) -> dict[str, Any]:
    """Evaluate the expressions of the sink on two rows, in an engine without a server."""
    row = ", ".join(f"?::{kind} as {column}" for column, kind in _TYPES.items())
    shown = ", ".join(f"{sql} as {name}" for name, sql in expressions("known", "later").items())
    values = [getattr(report, column) for report in (known, later) for column in _TYPES]
    found = _ENGINE.execute(
        f"select {shown} from (select {row}) as known, (select {row}) as later",
        values,
    )
    names = [column[0] for column in found.description]
    return dict(zip(names, found.fetchall()[0], strict=True))


_ENGINE = duckdb.connect()


def test_every_merged_column_is_tried() -> None:
    assert set(_TYPES) == set(FILLS)


@given(_reports, _reports)
def test_the_sink_merges_in_sql_as_in_python(known: ReportedPlay, later: ReportedPlay) -> None:
    merged = fill(known, later)
    assert by_sql(known, later) == {column: getattr(merged, column) for column in FILLS}
