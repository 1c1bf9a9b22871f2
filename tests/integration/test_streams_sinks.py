"""The lake and the history sink as real processes: killed, fed poison, their store taken away."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import psycopg
import pyarrow as pa
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from deltalake import DeltaTable
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from contracts.errors import StoreUnavailable
from contracts.events import Feedback, Submission, encode
from contracts.ids import partition_of
from contracts.impressions import Impression, pack
from contracts.impressions import encode as encode_impression
from contracts.kafka import end_offsets
from contracts.lake import TABLES
from contracts.lake_tables import TablePlace
from contracts.same_play import client_of
from contracts.topics import Topics
from infra.operations.erasure import log as erasures
from infra.operations.erasure.target import Target
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres
from infra.stack.process import Process, wait_until
from infra.stack.progress import heartbeats, heartbeats_by_host
from infra.stack.server import Server
from infra.stack.tansu import Tansu
from infra.stack.valkey import Valkey
from online_model import ModelDirectory, Recommender
from streams.decode import Batch
from streams.errors import PositionLost
from streams.history_sink import HistorySink
from streams.lake_sink import LakeSink
from streams.learner import learn
from streams.steps import BEFORE_WRITE, ROWS_WRITTEN, WRITTEN
from tests.integration.streams_kit import Kit, make_kit
from tests.streams.plays import submission

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def kit(tmp_path: Path, broker: Server, valkey: Valkey, postgres: Postgres) -> Iterator[Kit]:
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute("truncate plays, listen_counts, history_fence")
    yield from make_kit(
        tmp_path, kafka=broker, redis_url=valkey.address, postgres_dsn=postgres.address
    )


def lake(kit: Kit, table: str = "plays") -> pa.Table:
    return DeltaTable(kit.settings.paths.lake / table).to_pyarrow_table()


def query(kit: Kit, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(kit.settings.postgres_dsn) as connection:
        return connection.execute(sql).fetchall()  # type: ignore[arg-type,call-overload,unused-ignore]


def assert_lake_exact(kit: Kit) -> None:
    """Every delivered play lies in the lake once, at its own place."""
    rows = lake(kit)
    places = rows.select(["log_id", "kafka_partition", "kafka_offset", "position"]).to_pylist()
    assert len({tuple(place.values()) for place in places}) == len(places)
    expected = Counter((s.user_id, p.event_id) for s in kit.sent for p in s.plays)
    found = zip(rows["user_id"].to_pylist(), rows["event_id"].to_pylist(), strict=True)
    assert Counter(found) == expected


def assert_history_exact(kit: Kit) -> None:
    """Every different play lies in PostgreSQL once, and the counts agree with the rows."""
    expected = Counter(
        user for user, _ in {(s.user_id, p.event_id) for s in kit.sent for p in s.plays}
    )
    assert dict(query(kit, "select user_id, count(*) from plays group by 1")) == expected
    assert dict(query(kit, "select user_id, plays from listen_counts")) == expected


def send_others(kit: Kit, count: int) -> None:
    """Produce feedback and impressions of two tracks each, numbered on from those before."""
    topics, partitions = Topics(kit.settings.namespace), kit.settings.partitions
    producer = Producer({"bootstrap.servers": kit.settings.kafka, "acks": "all", "linger.ms": 5})
    for number in range(kit.others, kit.others + count):
        user = f"user {number % 40}"
        love = Feedback(
            user_id=user, kind="love", at=number, source="t", artist="A", title=f"T{number}"
        )
        one = np.ones(2, np.float32)
        seen = Impression(
            impression_id=str(UUID(int=number)),
            user_id=user,
            at=number,
            generation=1,
            offset=number,
            tracks=[f"{number}-{i}" for i in range(2)],
            numbers=pack(one, one, one[:, None]),
        )
        home = partition_of(user, partitions)
        for topic, message in (
            (topics.feedback, encode(love)),
            (topics.impressions, encode_impression(seen)),
        ):
            producer.produce(topic, message, user.encode(), home)
        producer.poll(0)
    assert producer.flush(30) == 0
    kit.others += count


def assert_others_exact(kit: Kit) -> None:
    """Every love and every track shown lies in the lake once."""
    loves = lake(kit, "feedback")["title"].to_pylist()
    assert Counter(loves) == Counter(f"T{n}" for n in range(kit.others))
    shown = lake(kit, "impressions")["track_id"].to_pylist()
    assert Counter(shown) == Counter(f"{n}-{i}" for n in range(kit.others) for i in range(2))


@pytest.mark.each_broker
def test_kills_at_each_step_of_a_commit_neither_lose_nor_double(kit: Kit) -> None:
    kit.send_random(2000, seed=41)
    send_others(kit, 400)
    steps = [(BEFORE_WRITE, BEFORE_WRITE), (WRITTEN, ROWS_WRITTEN), (WRITTEN, WRITTEN)]
    for lake_step, history_step in steps:
        kit.wait_killed(
            kit.start("lake-sink", kill_at=lake_step),
            kit.start("history-sink", kill_at=history_step),
        )
        kit.send_random(300, seed=42 + len(kit.workers))
        send_others(kit, 100)
    workers = [kit.start("lake-sink"), kit.start("history-sink")]
    kit.wait_applied("lake-sink", "history-sink")
    assert_lake_exact(kit)
    assert_history_exact(kit)
    assert_others_exact(kit)
    assert {name: lake(kit, name).schema.names for name in TABLES} == {
        name: schema.names for name, schema in TABLES.items()
    }
    for worker in workers:
        kit.stop(worker)
    kit.start("lake-sink")
    kit.start("history-sink")
    kit.send_random(20, seed=44)
    kit.wait_applied("lake-sink", "history-sink")
    assert_lake_exact(kit)
    assert_history_exact(kit)


def test_poison_is_set_aside_and_odd_plays_survive(kit: Kit) -> None:
    kit.send_random(20, seed=45)
    kit.send((1, b"nonsense"), (2, b"[]"))
    odd = {"device": "a\0b", "deep": [{"x": 1e300, "y": None, "z": 2**60}]}
    kit.send(submission("ada", (1, 1), artist="nul\0l", album="x\0", extra=odd, skipped=True))
    kit.send_random(20, seed=46)
    kit.start("lake-sink")
    kit.start("history-sink")
    kit.wait_applied("lake-sink", "history-sink")
    assert_lake_exact(kit)
    assert_history_exact(kit)
    letters = kit.dead_letters()
    assert Counter((x.stage, x.reason) for x in letters) == {
        ("lake-sink", "bad-json"): 1,
        ("lake-sink", "bad-schema"): 1,
        ("history-sink", "bad-json"): 1,
        ("history-sink", "bad-schema"): 1,
    }
    row = query(kit, "select artist, album, extra->>'device' from plays where user_id = 'ada'")
    assert row == [("nul\ufffdl", "x\ufffd", "a\ufffdb")]
    ada = lake(kit).to_pylist()
    assert [r["artist"] for r in ada if r["user_id"] == "ada"] == ["nul\0l"]


def test_postgres_may_go_and_come_back(kit: Kit, postgres: Postgres) -> None:
    kit.send_random(100, seed=47)
    worker = kit.start("history-sink")
    kit.wait_applied("history-sink")
    postgres.kill()
    try:
        kit.send_random(100, seed=48)
        time.sleep(3)
        assert worker.pid is not None, worker.tail(30)  # it waits for its store, it does not end
    finally:
        postgres.start()
    kit.wait_applied("history-sink")
    assert_history_exact(kit)
    kit.stop(worker)


def test_a_sink_whose_store_stays_away_still_stops_in_order(kit: Kit) -> None:
    kit.send_random(10, seed=49)
    worker = kit.start("history-sink", postgres_dsn="postgresql://nobody@127.0.0.1:1/none")

    def waiting() -> bool:
        beat = heartbeats(kit.settings).get("history-sink")
        return beat is not None and beat.state == "waiting"

    assert wait_until(waiting, 90), worker.tail(20)
    kit.stop(worker)


@pytest.mark.each_broker
def test_a_new_log_ends_the_workers_and_the_next_ones_read_it(
    tmp_path: Path, valkey: Valkey, postgres: Postgres
) -> None:
    broker = Tansu(tmp_path / "broker", free_ports(1)[0])
    broker.start()
    try:
        for kit in make_kit(
            tmp_path, kafka=broker, redis_url=valkey.address, postgres_dsn=postgres.address
        ):
            names = ("lake-sink", "listeners")
            kit.send_random(30, seed=50)
            workers = [kit.start(name) for name in names]
            kit.wait_applied(*names)
            broker.kill()
            broker.start()
            kit.make_topics()
            kit.send_random(60, seed=51)
            assert wait_until(lambda: not any(w.pid for w in kit.workers), 90)  # noqa: B023
            assert {w.exit_code for w in workers} == {3}
            kit.redis.delete(kit.keys.workers)  # the last words of those who read the old log
            for name in names:
                kit.start(name)
            kit.wait_applied(*names)
            assert_lake_exact(kit)
            kit.sent = kit.sent[30:]  # the counters are those of the new log
            assert kit.count("plays") == sum(len(s.plays) for s in kit.sent)
            broker.kill()
            kit.stop(kit.workers[-1])  # Faust waits for a broker that is away; SIGTERM does not
    finally:
        broker.stop()


def batch(offset: int, *tracks: int) -> Batch[Any]:
    said = submission("ada", *((t, t) for t in tracks))
    return Batch(0, offset, offset, offset, [(offset, said)], [])


def test_two_lake_sinks_cannot_both_write(tmp_path: Path) -> None:
    one, other = (
        LakeSink[Any](TablePlace.in_folder(tmp_path / "plays"), "log", 1) for _ in range(2)
    )
    assert one.write([batch(0, 1, 2)]) == 2
    assert other.positions() == {0: 1}
    assert other.write([batch(1, 3)]) == 1
    with pytest.raises(PositionLost):
        one.write([Batch(0, 0, 0, 5, [], [])])
    assert one.write([batch(1, 3)]) == 0  # the commit that got through although it seemed to fail
    assert DeltaTable(tmp_path / "plays").to_pyarrow_table().num_rows == 3


def test_of_two_lake_sinks_at_once_one_is_refused(tmp_path: Path) -> None:
    """Also where neither finds a table: each play lands once."""
    for number in range(12):
        place = TablePlace.in_folder(tmp_path / str(number // 2) / "plays")
        offset = number % 2

        def write(_: int, place: TablePlace = place, offset: int = offset) -> int:
            try:
                return LakeSink[Any](place, "log", 1).write([batch(offset, 1, 2)])
            except StoreUnavailable:
                return 0

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(write, range(2))) == [0, 2]
        table = place.open()
        assert table is not None
        assert table.to_pyarrow_table().num_rows == 2 * (offset + 1)


def test_history_skips_what_it_has(postgres: Postgres) -> None:
    sink = HistorySink(postgres.address, f"log {time.time_ns()}", 1)
    assert sink.positions() == {0: 0}
    assert sink.write([batch(0, 901, 902, 902)]) in (0, 2)
    assert sink.write([batch(0, 901, 902)]) == 0
    assert sink.positions() == {0: 1}
    with pytest.raises(PositionLost):
        sink.write([Batch(0, 7, 7, 7, [], [])])
    sink.close()


def test_clients_and_names_are_kept_as_they_are(postgres: Postgres) -> None:
    odd = ["a,b/1", 'quo"te/2', "back\\slash", "{}", "", " Sp ace /3", "NULL", "tab\there", "é'x"]
    plays = [
        msgspec.structs.replace(made, source=source, artist=source or "x", track_id=source)
        for number, source in enumerate(odd)
        for made in submission("odd", (number * 1000, number)).plays
    ]
    batch = Batch(0, 0, 0, 0, [(0, Submission(user_id="odd", plays=plays))], [])
    with contextlib.closing(HistorySink(postgres.address, "odd clients", 1)) as sink:
        sink.write([batch])
    with psycopg.connect(postgres.address) as connection:
        rows = connection.execute(
            "select source, clients, artist, track_id from plays where user_id = 'odd'"
            " order by played_at"
        ).fetchall()
    assert rows == [(source, [client_of(source)], source or "x", source) for source in odd]


def test_a_database_that_is_read_only_after_a_fail_over_is_waited_for(postgres: Postgres) -> None:
    options = conninfo_to_dict(postgres.address).get("options", "")
    replica = make_conninfo(
        postgres.address, options=f"{options} -c default_transaction_read_only=on"
    )
    sink = HistorySink(replica, "read-only", 1)
    with pytest.raises(StoreUnavailable, match="read-only"):
        sink.positions()
    sink.close()


def cut_off(kit: Kit, keep: int) -> None:
    """Have Kafka delete all but the newest messages of plays and feedback."""
    admin = AdminClient({"bootstrap.servers": kit.settings.kafka})
    topics = Topics(kit.settings.namespace)
    places = [
        TopicPartition(str(topic), p, end - keep)
        for topic in (topics.plays, topics.feedback)
        for p, end in enumerate(end_offsets(kit.settings, topic))
    ]
    for cut in admin.delete_records(places).values():
        cut.result(10)


def erase(kit: Kit, user: str) -> None:
    """Append the erasure of a listener to the log; their rows stay in the lake."""
    target = Target(user, 0, None, erasures.ends(kit.settings))
    erasures.publish(kit.settings, target)
    kit.sent = [each for each in kit.sent if each.user_id != user]


@pytest.mark.kafka
def test_what_kafka_has_deleted_is_folded_from_the_lake(kit: Kit) -> None:
    """Empty stores and a new model reach the state that a fold of the whole log gives."""
    kit.send_random(400, seed=71, in_order=True)
    kit.send((0, b"{"), (0, b"not JSON"))
    send_others(kit, 80)
    sink = kit.start("lake-sink")
    kit.wait_applied("lake-sink")
    kit.send_random(40, seed=72, in_order=True)
    erase(kit, "user 7")
    kit.wait_applied("lake-sink")
    kit.stop(sink)
    cut_off(kit, keep=4)
    kit.wait_killed(kit.start("listeners", kill_at=f"{WRITTEN}:2"))
    kit.wait_killed(kit.start("history-sink", kill_at=ROWS_WRITTEN))
    folds = ("listeners", "history-sink", "learner")
    started = [kit.start(name) for name in folds]
    kit.wait_applied(*folds, timeout=150)
    kit.assert_features_exact()
    assert_history_exact(kit)
    assert not kit.redis.exists(kit.keys.listener("user 7"))
    assert {letter.stage for letter in kit.dead_letters()} == {"lake-sink"}
    kit.stop(started.pop())
    learned = ModelDirectory(kit.settings.paths.model).resume()
    whole = Recommender()
    learn(whole, Batch(0, 0, 0, 0, list(enumerate(kit.sent)), []))
    assert learned.plays_learned == whole.plays_learned

    # Without the lake the messages are lost: the worker names them, and a setting accepts that.
    kit.stop(started.pop())
    with psycopg.connect(kit.settings.postgres_dsn, autocommit=True) as connection:
        connection.execute("truncate plays, listen_counts, history_fence")
    shutil.rmtree(kit.settings.paths.lake)
    refused = kit.start("history-sink")
    assert refused.wait(30)
    assert refused.exit_code == 1
    assert "needs offsets 0 to" in refused.tail(5)
    assert "SEGUE_ACCEPT_CUT_LOG=1" in refused.tail(5)
    accepting = kit.start("history-sink", accept_cut_log=1)
    kit.wait_applied("history-sink")
    assert "continues without offsets 0 to" in accepting.log.read_text()
    kit.stop(accepting)


@pytest.mark.kafka
def test_several_processes_of_a_sink_share_the_partitions(kit: Kit) -> None:
    """Killed, stopped and added under load: each delivery is in each store once."""

    def start(name: str, host: str) -> Process:
        return kit.start(name, shared_sinks=True, host_name=host)

    def owners(name: str) -> dict[str, set[str]]:
        """Return which places of the topic of plays each process has."""
        found = heartbeats_by_host(kit.settings)
        fresh = {k: b for k, b in found.items() if b.is_fresh(int(time.time() * 1000))}
        return {
            worker: {place for place in beat.offsets if place.startswith(kit.plays)}
            for worker, beat in fresh.items()
            if worker.startswith(name)
        }

    def shared(*hosts: str) -> bool:
        for name in ("lake-sink", "history-sink"):
            found = owners(name)
            parts = [found.get(f"{name}@{host}", set()) for host in hosts]
            if not all(parts) or sum(map(len, parts)) != kit.settings.partitions:
                return False
        return True

    sinks = {host: [start("lake-sink", host), start("history-sink", host)] for host in "ab"}
    assert wait_until(lambda: shared("a", "b"), 90), [owners("lake"), owners("history")]
    kit.send_random(500, seed=61)
    for process in sinks["a"]:
        kit.kill(process)
    kit.send_random(500, seed=62)
    send_others(kit, 100)
    kit.wait_applied("lake-sink", "history-sink")
    sinks["c"] = [start("lake-sink", "c"), start("history-sink", "c")]
    kit.send_random(500, seed=63)
    assert wait_until(lambda: shared("b", "c"), 90), [owners("lake"), owners("history")]
    for process in sinks["b"]:
        kit.stop(process)
    kit.send_random(300, seed=64)
    kit.wait_applied("lake-sink", "history-sink")
    assert_lake_exact(kit)
    assert_history_exact(kit)
    assert_others_exact(kit)
    assert not kit.dead_letters()
