"""Sessions of two programs, Flink and dbt, held against each other in the warehouse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from deltalake import DeltaTable

from batch import warehouse
from batch.dbt_runner import Build
from batch.lake import Lake
from contracts.erased import Erased
from contracts.ids import partition_of
from contracts.results import Session, Uniques
from contracts.settings import Settings
from contracts.topics import Kind
from infra.operations.erasure import lake as erasure
from infra.operations.erasure.target import Target
from streams.decode import Decoder, Record
from streams.lake_sink import LakeSink
from tests.streams.flink import live_log, oracle

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
        sink = LakeSink[Any](self.settings.paths.lake / kind.table, f"log-{kind}", PARTITIONS)
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


def test_an_erased_listener_leaves_the_landed_results_too(world: World) -> None:
    user = world.sessions[0].user_id
    deleted = erasure.forget(world.settings, Target(user, before_ms=2**42))
    assert deleted["sessions"] >= 1
    assert "uniques" not in deleted
    left = DeltaTable(world.settings.paths.lake / "sessions").to_pyarrow_table()
    assert user not in set(left["user_id"].to_pylist())
    world.sessions = [s for s in world.sessions if s.user_id != user]
    assert not failed(world.build())


def test_the_whole_project_builds_without_results(tmp_path: Path, world: World) -> None:
    """Without Flink the tables are there and empty."""
    settings = replace(world.settings, home=tmp_path)
    warehouse.land(settings, {"plays": Lake.plays(world.settings).snapshot()})
    assert not failed(warehouse.build(settings, select=f"+{CHECK}"))
