"""Sessions of two programs, Flink and dbt, compared in the warehouse."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from deltalake import DeltaTable

from batch import warehouse
from batch.dbt_runner import Build
from batch.lake import Lake
from contracts.erased import Erased
from contracts.events import decode_submission
from contracts.ids import partition_of
from contracts.lake_tables import lake_table
from contracts.results import Session, Uniques
from contracts.settings import Settings
from contracts.topics import Kind
from infra.operations.erasure import lake as erasure
from infra.operations.erasure.target import Target
from infra.stack.postgres import Postgres
from streams.decode import Decoder, Record
from streams.lake_sink import LakeSink
from tests.streams.flink import live_log, oracle
from tests.streams.flink.live_log import HOUR

pytestmark = [pytest.mark.integration, pytest.mark.slow]
PARTITIONS, BOUND = 4, 900
CHECK = "flink_sessions_are_those_of_plays_on_time"


@dataclass
class World:
    """A lake that is filled as the sink fills it."""

    settings: Settings
    log: live_log.LiveLog
    sessions: list[Session]

    def land(self, kind: Kind, partition: int, values: list[bytes]) -> None:
        """Append messages of a topic to its table."""
        sink = LakeSink[Any](lake_table(self.settings, kind.table), f"log-{kind}", PARTITIONS)
        start = sink.positions()[partition]
        records = [Record(start + n, value) for n, value in enumerate(values)]
        decode = Decoder(Erased(), PARTITIONS).of(kind)
        sink.write([decode(records, partition=partition, start=start)])

    def build(self) -> Build:
        """Build what the comparison reads, and compare."""
        warehouse.land(self.settings, Lake.newest(self.settings))
        return warehouse.build(self.settings, select=f"+{CHECK}")


def failed(build: Build) -> list[str]:
    """Return the nodes that are not well."""
    return [node.name for node in build.nodes if node.status not in ("success", "pass")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    settings = replace(Settings(), home=tmp_path_factory.mktemp("flink-lake"))
    log = live_log.make(live_log.synthetic(1500))
    by_partition: dict[int, list[bytes]] = {}
    for _, user, value in log.messages:
        by_partition.setdefault(partition_of(user, PARTITIONS), []).append(value)
    placed = [(p, n, value) for p, values in by_partition.items() for n, value in enumerate(values)]
    rows = oracle.sessions(oracle.load(placed, bound=BOUND))
    names = ("user_id", "started_at", "last_played_at", "plays", "tracks")
    found = World(settings, log, [Session(**dict(zip(names, row, strict=True))) for row in rows])
    for partition, values in by_partition.items():
        found.land(Kind.PLAYS, partition, values)
    found.land(Kind.SESSIONS, 0, [msgspec.json.encode(s) for s in found.sessions])
    hour = Uniques(hour=0, track_id="t", listeners=1, plays=1)
    found.land(Kind.UNIQUES, 0, [msgspec.json.encode(hour)])
    return found


def test_the_sessions_are_the_same_and_a_repeat_changes_nothing(world: World) -> None:
    assert not failed(world.build())
    world.land(Kind.SESSIONS, 0, [msgspec.json.encode(s) for s in world.sessions[:50]])
    assert not failed(world.build())


def test_a_session_that_differs_is_found(world: World) -> None:
    ended = sorted(world.sessions, key=lambda s: s.last_played_at)[len(world.sessions) // 2]
    wrong = msgspec.structs.replace(ended, plays=ended.plays + 1)
    world.land(Kind.SESSIONS, 0, [msgspec.json.encode(wrong)])
    assert failed(world.build()) == [CHECK]
    world.land(Kind.SESSIONS, 0, [msgspec.json.encode(ended)])
    assert not failed(world.build())


def test_the_marts_hold_the_newest_run_of_each_day_once(world: World) -> None:
    """A batch run replaces a day; a repeat of a row replaces the row."""
    play = decode_submission(world.log.messages[-1][2]).plays[0]
    hour = play.played_at // HOUR * HOUR
    live = Uniques(hour=hour, track_id=play.track_id, listeners=3, plays=4)
    other = Uniques(hour=hour, track_id="counted live alone", listeners=1, plays=1)
    again = msgspec.structs.replace(live, listeners=5, plays=9, run=7)
    next_day = msgspec.structs.replace(live, hour=hour + 24 * HOUR)
    for found in (live, other, live, again, next_day):
        world.land(Kind.UNIQUES, 0, [msgspec.json.encode(found)])
    warehouse.land(world.settings, Lake.newest(world.settings))
    assert warehouse.build(world.settings).ok
    with warehouse.connect(world.settings) as db:
        hours = db.execute(
            "select epoch_ms(hour_start), track_id, listeners, plays, is_recounted, "
            "song_key <> '-1' from live.metrics_track_hours "
            "where hour_start > timestamp '1970-01-02' order by 1"
        ).fetchall()
        assert hours == [
            (hour, play.track_id, 5, 9, True, True),
            (hour + 24 * HOUR, play.track_id, 3, 4, False, True),
        ]
        (sessions,) = db.execute("select count(*) from live.fct_live_sessions").fetchall()[0]
        assert sessions == len(world.sessions)
        lists = db.execute(
            "select played_date, max(place), sum(plays) from marts.metrics_trending_daily "
            "group by 1 order by 1"
        ).fetchall()
        counted = db.execute(
            "select played_date, count(distinct song_key), count(*) from marts.fct_plays "
            "group by 1 order by 1"
        ).fetchall()
    assert [(day, min(songs, 100)) for day, songs, _ in counted] == [row[:2] for row in lists]
    assert all(row[2] <= day[2] for row, day in zip(lists, counted, strict=True))


def test_an_erased_listener_leaves_the_landed_results_too(world: World) -> None:
    user = world.sessions[0].user_id
    deleted = erasure.forget(world.settings, Target(user, before_ms=2**42))
    assert deleted["sessions"] >= 1
    assert "uniques" not in deleted
    left = DeltaTable(world.settings.paths.lake / "sessions").to_pyarrow_table()
    assert user not in set(left["user_id"].to_pylist())
    world.sessions = [s for s in world.sessions if s.user_id != user]
    assert not failed(world.build())


def test_a_play_that_was_erased_is_no_difference(
    world: World, postgres: Postgres, tmp_path: Path
) -> None:
    """Flink's session still counts it; without an erasure on record a missing play is found."""
    home = shutil.copytree(world.settings.home, tmp_path / "home")
    settings = replace(world.settings, home=home, postgres_dsn=postgres.address)
    world = replace(world, settings=settings)
    assert not failed(world.build())
    by_end = sorted(world.sessions, key=lambda session: session.last_played_at)
    within = next(s for s in by_end[: len(by_end) // 2] if s.plays >= 3)
    ((event, at),) = warehouse.query(
        settings,
        "select event_id, epoch_ms(played_at) from staging.base_segue__plays "
        "where user_id = ? and epoch_ms(played_at) > ? and epoch_ms(played_at) < ? "
        "and epoch_ms(received_at) - epoch_ms(played_at) <= ? order by played_at limit 1",
        [within.user_id, within.started_at, within.last_played_at, BOUND * 1000],
    ).rows
    assert within.started_at < at < within.last_played_at
    erasure.forget(settings, Target(within.user_id, before_ms=2**42, event_id=event))
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute(
            "insert into erasures (event_id, subject, state) values (%s, '', 'done')", (event,)
        )
    assert not failed(world.build())
    with warehouse.connect(settings, read_only=False) as db:
        db.execute("update raw.play_erasures set erasures = 0")
    assert failed(warehouse.build(settings, select=f"+{CHECK}")) == [CHECK]


def test_the_whole_project_builds_without_results(tmp_path: Path, world: World) -> None:
    """Without Flink the tables are there and empty."""
    settings = replace(world.settings, home=tmp_path)
    warehouse.land(settings, {"plays": Lake.plays(world.settings).snapshot()})
    assert not failed(warehouse.build(settings, select=f"+{CHECK}"))
