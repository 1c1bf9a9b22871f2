"""The checksum of a table: the same for the same rows, whoever returns them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.snowflake_warehouse import translated
from infra.snowflake.compare import checksum

_VALUES = st.one_of(st.none(), st.text(max_size=5), st.integers(), st.booleans(), st.dates())
ROWS = st.lists(st.tuples(_VALUES, _VALUES), max_size=8)


@given(ROWS, st.randoms())
def test_order_of_rows_does_not_count(rows: list[tuple[object, object]], chance: object) -> None:
    mixed = list(rows)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert checksum(["a", "b"], mixed) == checksum(["a", "b"], rows)


@given(ROWS)
def test_order_and_case_of_columns_do_not_count(rows: list[tuple[object, object]]) -> None:
    swapped = [(b, a) for a, b in rows]
    assert checksum(["B", "A"], swapped) == checksum(["a", "b"], rows)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, Decimal("1.0")),
        (0.1 + 0.2, 0.3),
        (datetime(2025, 3, 3, 12), datetime(2025, 3, 3, 12, tzinfo=UTC)),  # noqa: DTZ001
    ],
)
def test_types_of_engines_do_not_count(one: object, other: object) -> None:
    assert checksum(["a"], [(one,)]) == checksum(["a"], [(other,)])


@pytest.mark.parametrize(
    ("one", "other"), [(1, 2), ("a", "A"), (None, ""), (0.123456, 0.123457), (date.min, date.max)]
)
def test_values_count(one: object, other: object) -> None:
    assert checksum(["a"], [(one,)]) != checksum(["a"], [(other,)])


def test_a_row_twice_is_not_a_row_once() -> None:
    assert checksum(["a"], [(1,), (1,)]) != checksum(["a"], [(1,)])


def test_questions_are_asked_in_snowflakes_words() -> None:
    assert translated("select x % 2 from t where a = ? and b like 'q%'") == (
        "SELECT x %% 2 FROM t WHERE a = %s AND b LIKE 'q%%'"
    )
    assert "information_schema.columns" in translated("describe raw.plays")
