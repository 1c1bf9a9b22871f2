"""Every check fires on a seeded defect of its kind and stays quiet without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from batch.ask import Ask
from batch.quality import (
    ADVICE,
    GATE,
    QualityCheck,
    check_built,
    check_fields,
    check_raw,
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
