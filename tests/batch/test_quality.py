"""Every check fires on a seeded defect of its kind and stays quiet without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from batch import quality
from batch.ask import Ask
from batch.quality import (
    ADVICE,
    GATE,
    QualityCheck,
    check_built,
    check_fields,
    check_raw,
    describe,
    score,
)

NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)

#: Thirty days of a hundred plays, a quarter skipped; a star schema that accounts for all of them.
_HEALTHY = """
create schema raw; create schema staging; create schema marts;
create table raw.plays as
select
    'e' || i as event_id, 'u' || i % 7 as user_id, 't' || i % 50 as track_id,
    'a' || i % 9 as artist, 'title' as title, null::varchar as album,
    landed as played_at, landed as received_at, 1::bigint as ms_played, 2::bigint as duration_ms,
    i % 4 = 0 as skipped, null::varchar as reason_end, 's' as source,
    null::varchar as session_hint, null::varchar as impression_id, '{"isrc": "x"}' as extra,
    'log' as log_id, 0 as kafka_partition, i as kafka_offset, 0 as position,
    landed as landed_at, landed::date as landed_date
from (
    select i, timestamptz '2025-03-03 11:00:00+00' - to_days((i // 100)::integer) as landed
    from range(3000) as t(i)
);
create table staging.stg_segue__plays as select event_id from raw.plays;
create table staging.stg_segue__plays_rejected as select event_id from raw.plays limit 0;
create table marts.fct_plays as
select event_id, user_id, track_id as song_key, artist as artist_key, '-1' as album_key,
    landed_date as played_date from raw.plays;
create table marts.dim_tracks as select distinct track_id as song_key from raw.plays;
create table marts.dim_artists as select distinct artist as artist_key from raw.plays;
create table marts.dim_albums as select '-1' as album_key;
create table marts.dim_listeners as select distinct user_id from raw.plays;
create table marts.dim_dates as select distinct landed_date as date_day from raw.plays;
"""


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(_HEALTHY)
        yield connection


def _asker(connection: duckdb.DuckDBPyConnection) -> Ask:
    def ask(sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return connection.execute(sql, list(parameters)).fetchall()

    return ask


def _ask(connection: duckdb.DuckDBPyConnection, now: datetime = NOW) -> list[QualityCheck]:
    ask = _asker(connection)
    landed = check_raw(ask, now)
    if landed[0].ok:  # as the nightly: without its columns nothing else is asked
        landed.append(check_fields(ask))
    return [*landed, *check_built(ask)]


def _by_name(checks: list[QualityCheck]) -> dict[str, QualityCheck]:
    return {check.name: check for check in checks}


def test_a_healthy_warehouse_is_quiet_and_scores_full(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    checks = _ask(warehouse)
    assert [check for check in checks if not check.ok] == []
    assert len(checks) == 8
    assert set(score(checks).values()) == {100.0}


_YESTERDAY = "landed_date = date '2025-03-02'"
DEFECTS = {
    "schema": "alter table raw.plays drop column source",
    "exactly-once": "insert into raw.plays select * from raw.plays limit 1",
    "completeness": "update raw.plays set track_id = null where kafka_offset = 5",
    "volume": f"delete from raw.plays where {_YESTERDAY} and kafka_offset % 100 > 10",
    "distribution": f"update raw.plays set skipped = true where {_YESTERDAY}",
    "fields": f"""update raw.plays set extra = '{{"isrc": "x", "mood": 3}}' where {_YESTERDAY}""",
    "rejected-share": "insert into staging.stg_segue__plays_rejected "
    "select event_id from raw.plays limit 200",
}


def test_every_check_has_its_defect(warehouse: duckdb.DuckDBPyConnection) -> None:
    below = {"freshness"}
    names = {check.name for check in _ask(warehouse)}
    assert names == set(DEFECTS) | below
    # Tested against a real PostgreSQL: tests/integration/test_history_check.py.
    assert names | {"history"} == set(ADVICE), "a check that does not say what to do"


@pytest.mark.parametrize("name", DEFECTS)
def test_a_seeded_defect_is_found_by_its_check_alone(
    warehouse: duckdb.DuckDBPyConnection, name: str
) -> None:
    warehouse.execute(DEFECTS[name])
    assert [check.name for check in _ask(warehouse) if not check.ok] == [name]


def test_a_silent_log_is_stale_until_a_play_lands(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert all(check.ok for check in _ask(warehouse, NOW + timedelta(hours=46)))
    late = _ask(warehouse, NOW + timedelta(hours=49))
    assert [check.name for check in late if not check.ok] == ["freshness"]
    warehouse.execute(
        "insert into raw.plays select * replace (landed_at + interval 47 hours as landed_at, "
        "kafka_offset + 10000 as kafka_offset) from raw.plays where kafka_offset = 0"
    )
    cleared = _ask(warehouse, NOW + timedelta(hours=49))
    assert [check.name for check in cleared if not check.ok] == [], "one play ends the alarm"


def test_fields_that_a_client_began_to_send_are_named_and_cost_nothing(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute(DEFECTS["fields"])
    warehouse.execute(
        """update raw.plays set source = 'new/1', extra = '{"its": "own"}' """
        f"where {_YESTERDAY} and kafka_offset % 2 = 0"
    )
    checks = _ask(warehouse)
    (told,) = (check for check in checks if not check.ok)
    assert told.detail == "1 new: s: mood (50 plays)", "a new client's fields are not drift"
    assert score(checks)["raw.plays"] == 100.0


def test_five_times_the_volume_is_found_too(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute(
        "insert into raw.plays select plays.* replace (kafka_offset + 10000 + r as kafka_offset) "
        f"from raw.plays, range(0, 60000, 10000) as t(r) where {_YESTERDAY}"
    )
    assert [check.name for check in check_raw(_asker(warehouse), NOW) if not check.ok] == ["volume"]


def test_few_days_are_not_judged(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("delete from raw.plays where landed_date < date '2025-02-26'")
    warehouse.execute(DEFECTS["volume"])
    assert all(check.ok for check in check_raw(_asker(warehouse), NOW))


def test_two_warnings_pass_the_gate_and_three_do_not() -> None:
    warnings = [QualityCheck(table="t", name=name, ok=False, severity="warn") for name in "abc"]
    assert score(warnings[:2])["t"] >= GATE > score(warnings)["t"]
    errors = [QualityCheck(table="t", name=str(i), ok=False) for i in range(3)]
    assert score(errors) == {"t": 0.0}


def test_quiet_days_of_a_small_house_do_not_stop_a_night(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """Ten plays a day, one on the last whole day, skipped, and then three days of silence."""
    warehouse.execute("delete from raw.plays where kafka_offset % 100 >= 10")
    warehouse.execute(f"delete from raw.plays where {_YESTERDAY} and kafka_offset % 100 > 0")
    warehouse.execute(DEFECTS["distribution"])
    checks = check_raw(_asker(warehouse), NOW + timedelta(hours=72))
    assert [check.name for check in checks if not check.ok] == ["freshness"]
    assert min(score(checks).values()) >= GATE


#: What each check reports of the healthy warehouse: table, severity, text.
_QUIET = {
    "schema": ("raw.plays", "error", "all columns are there"),
    "exactly-once": (
        "raw.plays", "error", "0 places of the play log lie in the lake more than once",
    ),
    "completeness": ("raw.plays", "error", "no required field is null"),
    "freshness": ("raw.plays", "warn", "the newest play landed 1.0 hours ago"),
    "volume": ("raw.plays", "warn", "100 plays landed on the last whole day; 100 is usual"),
    "distribution": (
        "raw.plays", "warn", "25.0% of plays were skipped on the last whole day; 25.0% is usual",
    ),
    "fields": ("raw.plays", "note", "no client began to send a field"),
    "rejected-share": (
        "stg_segue__plays", "error", "0 of 3,000 deliveries break a rule (0.00%)",
    ),
}  # fmt: skip
#: What each reports of its defect.
_FOUND = {
    "schema": "columns missing: source",
    "exactly-once": "1 places of the play log lie in the lake more than once",
    "completeness": "null in: track_id (1)",
    "volume": "11 plays landed on the last whole day; 100 is usual",
    "distribution": "100.0% of plays were skipped on the last whole day; 25.0% is usual",
    "fields": "1 new: s: mood (100 plays)",
    "rejected-share": "200 of 3,000 deliveries break a rule (6.67%)",
}


def test_a_healthy_warehouse_is_described(warehouse: duckdb.DuckDBPyConnection) -> None:
    checks = _ask(warehouse)
    assert {c.name: (c.table, c.severity, c.detail) for c in checks} == _QUIET


@pytest.mark.parametrize("name", _FOUND)
def test_a_defect_is_described_with_what_to_do(
    warehouse: duckdb.DuckDBPyConnection, name: str
) -> None:
    warehouse.execute(DEFECTS[name])
    (broken,) = (check for check in _ask(warehouse) if not check.ok)
    table, severity, _ = _QUIET[name]
    assert (broken.table, broken.severity, broken.detail) == (table, severity, _FOUND[name])
    assert describe(broken) == f"{table} {name}: {_FOUND[name]}; {ADVICE[name]}"


def test_missing_columns_and_null_fields_are_all_named(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("update raw.plays set title = null where kafka_offset < 1200")
    warehouse.execute("update raw.plays set artist = null where kafka_offset < 2")
    assert _by_name(_ask(warehouse))["completeness"].detail == "null in: artist (2), title (1,200)"
    warehouse.execute("alter table raw.plays drop column source")
    warehouse.execute("alter table raw.plays drop column artist")
    (schema,) = check_raw(_asker(warehouse), NOW)
    assert schema.detail == "columns missing: artist, source"


@pytest.mark.parametrize(
    ("age", "ok", "words"),
    [
        (timedelta(hours=48), True, "48.0 hours"),
        (timedelta(hours=48, seconds=1), False, "48.0 hours"),
        (timedelta(hours=95), False, "95.0 hours"),
        (timedelta(days=4), False, "4 days"),
        (timedelta(days=1234), False, "1,234 days"),
    ],
)
def test_the_age_of_the_newest_play(
    warehouse: duckdb.DuckDBPyConnection, age: timedelta, ok: bool, words: str
) -> None:
    landed = datetime(2025, 3, 3, 11, tzinfo=UTC)
    found = _by_name(check_raw(_asker(warehouse), landed + age))["freshness"]
    assert (found.ok, found.detail) == (ok, f"the newest play landed {words} ago")


def test_an_empty_warehouse_is_judged_without_a_division(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    warehouse.execute("delete from raw.plays")
    checks = _by_name(_ask(warehouse))
    assert [name for name, check in checks.items() if not check.ok] == ["freshness"]
    empty = checks["freshness"]
    assert (empty.table, empty.severity, empty.detail) == ("raw.plays", "warn", "empty")
    assert checks["rejected-share"].detail == "0 of 0 deliveries break a rule (0.00%)"


def _answers(*row: Any) -> Ask:
    """Return a warehouse that gives one row to every question."""
    return lambda sql, parameters=(): [row]


@pytest.mark.parametrize(
    ("plays", "usual", "days", "ok", "judged"),
    [
        (500, 100, 7, True, True),  # exactly five times, exactly enough days
        (501, 100, 7, False, True),
        (20, 100, 28, True, True),  # exactly a fifth, exactly enough plays
        (19, 100, 28, False, True),
        (501, 100, 6, True, False),
        (10, 99, 28, True, False),
        (100, 10, 28, False, True),  # enough plays on one of the two sides
        (99, 10, 28, True, False),
    ],
)
def test_the_bounds_of_the_volume(
    plays: int, usual: float, days: int, ok: bool, judged: bool
) -> None:
    check = quality._volume(_answers(plays, None, None, usual, None, days))
    assert check.ok is ok
    assert check.detail == (
        f"{plays:,} plays landed on the last whole day; {usual:,.0f} is usual"
        if judged
        else f"too little to judge by: {plays} plays, {days} days to compare with"
    )


@pytest.mark.parametrize(
    ("now", "reported", "usual", "days", "ok", "judged"),
    [
        (0.5, 100, 0.25, 7, True, True),
        (0.5625, 100, 0.25, 7, False, True),
        (0.0, 100, 0.25, 7, True, True),
        (0.0, 100, 0.3125, 7, False, True),
        (1.0, 99, 0.25, 7, True, False),
        (1.0, 100, 0.25, 6, True, False),
        (1.0, 100, None, 7, True, False),
        (None, None, 0.25, 7, True, False),
    ],
)
def test_the_bounds_of_the_share_of_skips(
    now: float | None, reported: int | None, usual: float | None, days: int, ok: bool, judged: bool
) -> None:
    check = quality._skips(_answers(0, now, reported, 0, usual, days))
    assert check.ok is ok
    assert check.detail == (
        f"{now:.1%} of plays were skipped on the last whole day; {usual:.1%} is usual"
        if judged
        else "too few plays or days with known skips to compare"
    )


@pytest.mark.parametrize(
    ("raw", "rejected", "ok"), [(4000, 200, True), (3999, 200, False), (1000, 99, True)]
)
def test_the_bounds_of_what_may_be_rejected(raw: int, rejected: int, ok: bool) -> None:
    assert quality._rejected(_answers(raw, rejected)).ok is ok
    assert not quality._rejected(_answers(1000, 100)).ok


def test_of_many_new_fields_the_first_ten_are_named() -> None:
    rows = [("s", f"f{i:02}", 1000 + i) for i in range(12)]
    check = check_fields(lambda sql, parameters=(): rows)
    named = ", ".join(f"s: f{i:02} ({1000 + i:,} plays)" for i in range(10))
    assert check.detail == f"12 new: {named}"


def test_points_are_lost_by_severity_and_table() -> None:
    def broken(table: str, severity: str) -> QualityCheck:
        return QualityCheck(table=table, name="x", ok=False, severity=severity)

    checks = [broken("a", "error"), broken("a", "warn"), broken("b", "note"), broken("c", "warn")]
    assert score(checks) == {"a": 47.5, "b": 100.0, "c": 97.5}
