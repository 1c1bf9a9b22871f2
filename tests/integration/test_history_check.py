"""The nightly compares lake and PostgreSQL: a play too few or too many is found in its hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import psycopg
import pyarrow as pa
import pytest

from batch.history_check import check_history
from batch.quality import QualityCheck
from contracts.events import Submission
from contracts.settings import Settings
from infra.stack.postgres import Postgres
from streams.decode import Batch
from streams.history_sink import HistorySink
from streams.lake_rows import to_table
from tests.streams.plays import START, submission

pytestmark = pytest.mark.integration

#: The plays of these tests were received around then; the history keeps those of other tests apart.
THEN = datetime.fromtimestamp(START, UTC) + timedelta(days=1)
#: A play that was received before the days a night looks at, and is delivered again.
OLD = (10, 500)
#: Five hours of plays; the first delivery once more; one play reported by two clients; an old play.
SENT = [
    submission("hour", OLD, received_at=(START - 40 * 86_400) * 1000),
    *(submission("hour", (700 * i, i), (700 * i + 300, 1000 + i)) for i in range(26)),
    submission("hour", (0, 0), (300, 1000)),
    submission("hour", (703, 1), source="other/1"),
    submission("hour", OLD),
]


@pytest.fixture
def ask(postgres: Postgres) -> Iterator[duckdb.DuckDBPyConnection]:
    """The history and the lake of the same messages."""
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute("truncate plays, merged_plays, merges, listen_counts, history_fence")
    batch = Batch[Submission](0, 0, 0, len(SENT) - 1, list(enumerate(SENT)), [])
    sink = HistorySink(postgres.address, "log of hours", 1)
    sink.write([batch])
    sink.close()
    landed: pa.Table = to_table("plays", [batch], "log of hours", START * 1000)
    with duckdb.connect() as connection:
        connection.execute("create schema raw")
        connection.register("landed", landed)
        connection.execute("create table raw.plays as from landed")
        yield connection


def check(connection: duckdb.DuckDBPyConnection, postgres: Postgres) -> QualityCheck:
    def asked(sql: str, parameters: object = ()) -> list[tuple[object, ...]]:
        return connection.execute(sql, list(parameters)).fetchall()  # type: ignore[call-overload]

    return check_history(Settings(postgres_dsn=postgres.address), asked, THEN)


def test_every_hour_agrees_however_plays_came(
    ask: duckdb.DuckDBPyConnection, postgres: Postgres
) -> None:
    with psycopg.connect(postgres.address) as connection:
        row = connection.execute("select count(*) from merged_plays").fetchone()
    assert row == (2,), "two clients' reports of one play"
    found = check(ask, postgres)
    assert (found.ok, found.detail) == (True, "53 plays of 6 hours agree")


def test_a_row_too_many_or_too_few_is_found_in_its_hour(
    ask: duckdb.DuckDBPyConnection, postgres: Postgres
) -> None:
    hour = f"{datetime.fromtimestamp(START, UTC):%Y-%m-%d %H}:00"
    first = SENT[1].plays[0].event_id
    by_hand = "00000000-0000-4000-8000-000000000000"
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute(
            "insert into plays select (jsonb_populate_record(p, jsonb_build_object('event_id', "
            "%s::text))).* from plays p where event_id = %s",
            (by_hand, first),
        )
        found = check(ask, postgres)
        assert (found.ok, found.severity) == (False, "warn")
        assert found.detail.startswith(f"{hour} lake ")
        lake, history = (int(held.split()[-1]) for held in found.detail.split(", "))
        assert history == lake + 1
        connection.execute("delete from plays where event_id = %s", (first,))
        found = check(ask, postgres)
        assert found.detail == f"{hour} lake {lake}, history {lake} (other plays)"
        connection.execute("delete from plays where user_id = 'hour'")
    missing = check(ask, postgres)
    assert missing.detail.count("history 0") == 2
    assert missing.detail.endswith("3 more hours")


def test_without_postgres_nothing_is_claimed(ask: duckdb.DuckDBPyConnection) -> None:
    def asked(sql: str, parameters: object = ()) -> list[tuple[object, ...]]:
        return []

    nowhere = Settings(postgres_dsn="postgresql://nobody@127.0.0.1:1/none")
    found = check_history(nowhere, asked, THEN)
    assert (found.ok, found.detail) == (True, "PostgreSQL was away: not compared")
