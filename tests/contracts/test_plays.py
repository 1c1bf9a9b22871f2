"""One meaning of a play: Python, SQL and every layer agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.listenbrainz import limits
from batch import dbt_macros
from contracts import plays, plays_sql
from online_model import ModelConfig

Arguments = tuple[int | None, int | None, bool | None]
lengths_ms = st.none() | st.integers(-5, 2_000) | st.integers(0, 10**9)
arguments = st.tuples(lengths_ms, lengths_ms, st.none() | st.booleans())


def test_each_layer_accepts_what_the_layer_before_it_accepted() -> None:
    warehouse = plays.FIRST_PLAY.timestamp() * 1000
    assert plays.OLDEST_MS >= warehouse >= 0
    assert plays.SKEW_MS <= plays.WAREHOUSE_SKEW_HOURS * 3_600_000
    assert plays.LAST_SECOND > 4_000_000_000
    assert limits.OLDEST * 1000 == plays.OLDEST_MS
    assert limits.SKEW * 1000 == plays.SKEW_MS


def test_the_warehouse_has_the_same_definitions() -> None:
    assert dbt_macros.FILE.read_text() == dbt_macros.text(), "run python -m batch.dbt_macros"


def test_model_and_warehouse_end_a_session_alike() -> None:
    assert ModelConfig().gap == plays.SESSION_GAP
    assert str(plays.SESSION_GAP) in dbt_macros.text()


@pytest.mark.parametrize(
    ("given_", "code"),
    [
        ((60_000, 240_000, None), 25),
        ((600_000, 240_000, None), 100),
        ((240_000, 240_000, True), 100),  # a skip in the last second was heard
        ((None, 240_000, True), plays.SKIPPED),
        ((None, None, True), plays.SKIPPED),
        ((None, 240_000, False), plays.FULL),
        ((None, 240_000, None), plays.UNKNOWN),
        ((2_000, None, None), 0),
        ((29_000, None, None), 12),
        ((120_000, None, True), 50),
        ((120_000, None, None), plays.UNKNOWN),
        ((120_000, 168, None), plays.UNKNOWN),  # no track lasts 168 ms
        ((-1, 240_000, None), plays.UNKNOWN),
    ],
)
def test_how_much_was_heard(given_: Arguments, code: int) -> None:
    assert plays.heard(*given_) == code


@pytest.mark.parametrize(
    ("given_", "right"),
    [
        ((None, 168), (None, 168_000)),
        ((None, 200_000_000), (None, 200_000)),
        ((150, 200), (150_000, 200_000)),
        ((199_000, 200), (199_000, 200_000)),
        ((None, 5), (None, None)),
        ((None, 0), (None, None)),
        ((None, 46 * 3_600_000_000), (None, None)),
        ((86_400_000, 200_000), (86_400_000, 200_000)),
        ((86_400_000, None), (None, None)),
        ((0, 200_000), (0, 200_000)),
    ],
)
def test_lengths_in_a_wrong_unit(given_: Any, right: Any) -> None:
    assert plays.lengths(*given_) == right


@given(arguments)
def test_stored_lengths_are_stored_again_unchanged(given_: Arguments) -> None:
    once = plays.lengths(*given_[:2])
    assert plays.lengths(*once) == once


def test_time_spent_and_what_counts() -> None:
    assert plays.heard_ms(86_400_000, 200_000, None) == 200_000
    assert plays.heard_ms(None, 360_000, None) == 360_000
    assert plays.heard_ms(None, 360_000, True) is None
    assert plays.heard_ms(13 * 3_600_000, None, None) is None
    assert not plays.counts(29_999, None, None)
    assert plays.counts(30_000, 200_000, True)
    assert plays.counts(10_000, 20_000, None)
    assert not plays.counts(9_999, 20_000, None)
    assert plays.counts(None, None, None)
    assert not plays.counts(None, 200_000, True)


@pytest.fixture(scope="module")
def warehouse() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@pytest.mark.parametrize(
    ("python", "sql"),
    [
        (plays.heard, plays_sql.heard),
        (plays.was_skipped, plays_sql.was_skipped),
        (plays.heard_ms, plays_sql.heard_ms),
        (plays.counts, plays_sql.counts),
    ],
)
@given(rows=st.lists(arguments, min_size=1, max_size=30))
def test_sql_says_the_same(
    warehouse: duckdb.DuckDBPyConnection,
    python: Callable[..., Any],
    sql: Callable[[str, str, str], str],
    rows: list[Arguments],
) -> None:
    warehouse.execute("create or replace temp table p (n int, m bigint, d bigint, s boolean)")
    warehouse.executemany(
        "insert into p values (?, ?, ?, ?)", [(n, *r) for n, r in enumerate(rows)]
    )
    found = warehouse.execute(f"select {sql('m', 'd', 's')} from p order by n").fetchall()
    # 255 is a code of `heard` only; for the others it is a number of milliseconds.
    unknown = plays.UNKNOWN if python is plays.heard else None
    wanted = [python(*row) for row in rows]
    assert [row[0] for row in found] == [None if w == unknown else w for w in wanted]
