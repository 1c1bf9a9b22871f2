"""The lake in object storage, on a real S3 server: faults, sinks, a night, an erasure."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import obstore
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from obstore.store import S3Store
from psycopg.conninfo import make_conninfo

from api.export import held
from batch import night_lock, warehouse
from batch.lake import Lake
from batch.night_lock import alone_tonight
from batch.runs import Runs
from contracts import batch_view, object_store
from contracts.errors import ConfigurationError, SegueError, StoreUnavailable
from contracts.events import decode_submission
from contracts.lake_state import LakeTable
from contracts.lake_tables import lake_table
from contracts.publication import FIGURES, FOLDERS, Publication
from contracts.settings import Settings
from infra.operations.erasure import lake as lake_erasure
from infra.operations.erasure import warehouse as warehouse_erasure
from infra.operations.erasure.target import Target
from infra.operations.replay import reconcile
from infra.stack import checks
from infra.stack.ports import LOOPBACK, free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import python, wait_until
from infra.stack.progress import heartbeats
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from streams.beginning import Beginning, LogCutOff
from streams.decode import Batch
from streams.lake_sink import LakeSink
from streams.steps import WRITTEN
from streams.worker import Worker
from tests.batch.lakes import append, delivery, said, shown
from tests.conftest import ROOT
from tests.integration.seaweed import BUCKET, KEY, SECRET, STRANGER, Seaweed
from tests.integration.streams_kit import Kit, make_kit
from tests.streams.plays import submission
from tests.streams.test_lake_log import LOG, put

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    server = Seaweed(tmp_path_factory.mktemp("s3"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def deployment(storage: Seaweed, home: Path, prefix: str) -> Settings:
    return Settings(
        home=home,
        lake=f"s3://{BUCKET}/{prefix}",
        s3_endpoint=storage.address,
        s3_key=KEY,
        s3_secret=SECRET,
    )


def segue(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("infra.cli", *words),
        cwd=ROOT,
        env=os.environ | settings.environ(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def objects(settings: Settings) -> dict[str, bytes]:
    """Return every object of a deployment by its key."""
    address = object_store.address_of(settings)
    assert address
    store: S3Store = object_store._connect(settings, address)
    found = [entry["path"] for chunk in obstore.list(store, address.prefix) for entry in chunk]
    return {path: bytes(obstore.get(store, path).bytes()) for path in found}


FAULTS: dict[str, tuple[dict[str, str], type[SegueError], str]] = {
    "no server": ({"s3_endpoint": "closed"}, StoreUnavailable, "no answer from http"),
    "wrong key": ({"s3_key": "nobody"}, ConfigurationError, "refuses this key"),
    "wrong secret": ({"s3_secret": "guessed"}, ConfigurationError, "refuses this key"),
    "no rights": ({"s3_key": STRANGER}, ConfigurationError, "refuses this key"),
    "no bucket": ({"lake": "s3://absent/a"}, ConfigurationError, "absent"),
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest, storage: Seaweed, tmp_path: Path) -> Any:
    changes, kind, words = FAULTS[request.param]
    if changes.get("s3_endpoint"):
        changes = {"s3_endpoint": f"http://{LOOPBACK}:{free_ports(1)[0]}"}
    return replace(deployment(storage, tmp_path, "faults"), **changes), kind, words  # type: ignore[arg-type]


def test_each_fault_is_one_line(fault: tuple[Settings, type[SegueError], str]) -> None:
    settings, kind, words = fault
    with pytest.raises(kind, match=words) as caught:
        object_store.check(settings)
    assert settings.lake in str(caught.value)
    assert SECRET not in str(caught.value)
    (finding,) = checks.lake(settings)
    assert finding.level == checks.FAIL
    assert re.search(words, finding.found)


def test_init_and_doctor_say_whether_the_bucket_can_be_used(
    storage: Seaweed, tmp_path: Path
) -> None:
    settings = deployment(storage, tmp_path, "said")
    (finding,) = checks.lake(settings)
    assert finding.level == checks.OK, finding
    assert objects(settings) == {}
    done = segue(replace(settings, s3_secret="guessed"), "init")
    assert done.returncode != 0
    assert "refuses this key" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def kit(
    tmp_path: Path, storage: Seaweed, broker: Server, valkey: Valkey, postgres: Postgres
) -> Iterator[Kit]:
    for kit in make_kit(
        tmp_path, kafka=broker, redis_url=valkey.address, postgres_dsn=postgres.address
    ):
        bucket = deployment(storage, tmp_path, kit.settings.namespace)
        kit.settings = replace(
            kit.settings,
            lake=bucket.lake,
            s3_endpoint=bucket.s3_endpoint,
            s3_key=KEY,
            s3_secret=SECRET,
        )
        yield kit


def plays_of(settings: Settings) -> pa.Table:
    table = lake_table(settings, "plays").open()
    assert table is not None
    return table.to_pyarrow_table()


def test_a_sink_that_is_killed_neither_loses_nor_doubles(kit: Kit) -> None:
    refused = kit.start("lake-sink", s3_key=STRANGER)
    assert refused.wait(90), refused.tail(30)
    assert refused.exit_code != 0
    assert "refuses this key" in refused.tail(5)

    away = kit.start("lake-sink", s3_endpoint=f"http://{LOOPBACK}:{free_ports(1)[0]}")
    assert wait_until(
        lambda: "no answer from" in str(heartbeats(kit.settings).get("lake-sink")), 90
    ), away.tail(30)
    kit.kill(away)

    kit.send_random(120, 1)
    kit.wait_killed(kit.start("lake-sink", kill_at=WRITTEN))
    kit.send_random(120, 2)
    sink = kit.start("lake-sink")
    sent = sum(len(each.plays) for each in kit.sent)
    assert wait_until(lambda: plays_of(kit.settings).num_rows >= sent, 90), sink.tail(30)
    kit.stop(sink)
    rows = plays_of(kit.settings).select(["kafka_partition", "kafka_offset", "position"])
    places = {tuple(row.values()) for row in rows.to_pylist()}
    assert len(places) == rows.num_rows == sent
    expected = {play.event_id for each in kit.sent for play in each.plays}
    ends = [2**40] * kit.settings.partitions
    start = reconcile.Mark(kit.log_id, [0] * kit.settings.partitions, 0)
    tally = reconcile.lake(kit.settings, start, ends, expected)
    assert (tally.deliveries, tally.missing, tally.doubled) == (sent, 0, 0)


def test_of_two_sinks_that_write_at_once_one_is_refused(
    storage: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = deployment(storage, tmp_path, "two")

    def write(offset: int) -> str:
        message = (offset, submission("ada", (offset, 1), (offset + 1, 2)))
        batch: Batch[Any] = Batch(0, offset, offset, offset, [message], [])
        try:
            return f"{LakeSink[Any](lake_table(settings, 'plays'), 'log', 1).write([batch])} rows"
        except StoreUnavailable as error:
            return str(error)

    assert write(0) == "2 rows"
    both = threading.Barrier(2, timeout=60)
    positions = LakeSink._positions

    def at_once(
        sink: LakeSink[Any], table: DeltaTable, partitions: Collection[int]
    ) -> dict[int, int]:
        """Both sinks have read the table's offsets before either writes."""
        found = positions(sink, table, partitions)
        both.wait()
        return found

    monkeypatch.setattr(LakeSink, "_positions", at_once)
    with ThreadPoolExecutor(2) as pool:
        done, refused = sorted(pool.map(write, (1, 1)))
    assert done == "2 rows"
    assert "another commit to the lake came first" in refused
    assert plays_of(settings).num_rows == 4


@pytest.fixture(scope="module")
def night(
    storage: Seaweed, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """A deployment after one nightly; its database is empty."""
    settings = deployment(storage, tmp_path_factory.mktemp("night"), "night")
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute("create database night")
    dsn = make_conninfo(postgres.address, dbname="night", options="")
    settings = replace(settings, postgres_dsn=dsn)
    plays = [delivery(f"user {i // 30}", f"T{i % 9}", i * 7, artist=f"A{i % 4}") for i in range(90)]
    append(settings, plays)
    append(settings, shown("user 1", ["T1", "T2"], 5), "impressions")
    append(settings, [said("user 1", "love", "T1", 6), said("user 2", "hate", "T2", 6)], "feedback")
    done = segue(settings, "nightly", "--json", "--date", "2025-03-04")
    assert done.returncode == 0, done.stderr + done.stdout
    return settings


def tree(settings: Settings, folder: str) -> dict[str, bytes]:
    root = settings.home / folder
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def test_what_a_night_publishes_reaches_another_host(night: Settings, tmp_path: Path) -> None:
    other = replace(night, home=tmp_path)
    assert not night.paths.lake.exists(), "nothing of the lake lies in the home"
    Publication(other).pull()
    for folder in FOLDERS:
        assert tree(other, folder) == tree(night, folder), folder
    assert batch_view.current(other.paths.batch_view) == 1
    assert (other.paths.reports / "top-artists" / "latest.html").exists()
    assert tree(other, FIGURES).keys() == {"figures.json", "warehouse.json"}
    (run,) = Runs(other.paths.runs).all()
    assert run.status == "ok"
    # The other host numbers its run after the first.
    done = segue(other, "nightly", "--date", "2025-03-04", "--until", "land")
    assert done.returncode == 0, done.stderr
    Publication(night).pull()
    assert [r.id for r in Runs(night.paths.runs).all()] == [run.id, f"{run.id[:-3]}002"]


def test_one_host_runs_a_nightly_at_a_time(night: Settings, tmp_path: Path) -> None:
    other = replace(night, home=tmp_path)
    with (
        alone_tonight(night),
        pytest.raises(StoreUnavailable, match="running on another host"),
        alone_tonight(other),
    ):
        pass
    with alone_tonight(other):
        pass


def test_a_session_that_postgresql_ends_is_a_clear_error_before_a_night_and_none_after_it(
    night: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    holders = (
        "select pg_terminate_backend(pid) from pg_locks "
        "where locktype = 'advisory' and pid <> pg_backend_pid() and database = "
        "(select oid from pg_database where datname = current_database())"
    )
    with alone_tonight(night), psycopg.connect(night.postgres_dsn) as operator:
        assert operator.execute(holders).fetchall()
    monkeypatch.setattr(night_lock, "_LOCK", "select pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(StoreUnavailable, match="lock of the nightly: PostgreSQL"):
        alone_tonight(night).__enter__()


def test_commands_and_pages_read_the_lake_there(night: Settings, tmp_path: Path) -> None:
    done = subprocess.run(
        python("contracts.lake_state"),
        env=os.environ | night.environ(),
        capture_output=True,
        check=True,
    )
    tables = {table.name: table for table in msgspec.json.decode(done.stdout, type=list[LakeTable])}
    assert (tables["plays"].rows, tables["plays"].trouble) == (90, "")
    out = tmp_path / "plays.parquet"
    snapshot = Lake.plays(night).snapshot()
    assert snapshot
    assert Lake.plays(night).export(snapshot, out) == 90

    async def exported() -> dict[str, list[bytes]]:
        return {
            place.name: [part async for part in held.lake(place, "user 1")]
            for place in await held.lake_tables(night)
        }

    found = asyncio.run(exported())
    assert {name: b"".join(parts).count(b"\n") for name, parts in found.items()} == {
        "feedback": 1,
        "impressions": 2,
    }


def test_an_erased_listener_is_in_no_object_and_no_copy(storage: Seaweed, tmp_path: Path) -> None:
    settings = deployment(storage, tmp_path, "erased")
    append(settings, [delivery(f"user {i % 3}", f"T{i}", i) for i in range(9)])
    append(settings, [delivery(f"user {i % 3}", f"T{i}", i) for i in range(9, 18)])
    append(settings, shown("user 1", ["T1", "T2"], 5), "impressions")
    warehouse.land(settings, Lake.newest(settings))
    target = Target("user 1", int(time.time() * 1000))
    assert lake_erasure.forget(settings, target) == {"impressions": 2, "plays": 6}
    assert lake_erasure.left(settings, target) == {}
    warehouse_erasure.forget(settings, target)
    assert lake_erasure.purge(settings)["files"] > 0
    warehouse_erasure.rewrite(settings)
    assert warehouse.count(settings, "raw.plays") == 12
    copies = {str(p): p.read_bytes() for p in settings.paths.lake_copies.rglob("*") if p.is_file()}
    kept = objects(settings)
    assert any("_delta_log" in key for key in kept)
    for where, content in (kept | copies).items():
        assert b"user 1" not in content, where
        if where.endswith(".parquet") and "_delta_log" not in where:
            assert "user 1" not in str(pq.read_table(pa.BufferReader(content)).to_pydict()), where


def test_a_fold_reads_from_the_bucket_what_kafka_has_deleted(
    storage: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(deployment(storage, tmp_path, "catch-up"), partitions=2)
    place = lake_table(settings, "plays")
    sent = [submission("ada", (offset, offset)) for offset in range(9)]
    put(place, 0, 0, *sent[:4])
    put(place, 0, 4, *sent[4:])
    monkeypatch.setattr("streams.beginning.begin_offsets", lambda *_: {0: 6, 1: 0})
    worker = Worker(settings, "listeners")
    beginning = Beginning(worker, worker.topics.plays, LOG)
    found = beginning.next_records({0: 2, 1: 0})
    assert {p: [record.offset for record in each] for p, each in found.items()} == {0: [2, 3, 4, 5]}
    assert [decode_submission(record.value) for record in found[0]] == sent[2:6]
    assert beginning.next_records({0: 6, 1: 0}) == {}

    monkeypatch.setattr("streams.beginning.begin_offsets", lambda *_: {0: 12, 1: 0})
    with pytest.raises(LogCutOff, match=r"offsets 9 to 11 .*s3://music/catch-up"):
        beginning.next_records({0: 2, 1: 0})
