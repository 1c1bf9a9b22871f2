"""Workers on Apache Kafka whose dead letters cannot be written, whose stores are away under a
flood, and whose log belongs mostly to one listener."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from contracts.events import encode
from contracts.features import WINDOW
from contracts.ids import partition_of
from contracts.kafka import end_offsets
from contracts.listener_events import decode
from contracts.topics import Topics
from infra.stack.postgres import Postgres
from infra.stack.process import Process
from infra.stack.progress import heartbeats
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from streams.errors import UNAVAILABLE
from tests.integration.streams_kit import Kit, make_kit
from tests.integration.test_streams_sinks import assert_history_exact, assert_lake_exact
from tests.streams.plays import submission

pytestmark = [
    pytest.mark.integration,
    pytest.mark.kafka,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

WORKERS = ("listeners", "history-sink", "lake-sink")
MB = 1024 * 1024


@pytest.fixture
def kit(tmp_path: Path, broker: Server, own_valkey: Valkey, postgres: Postgres) -> Iterator[Kit]:
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute("truncate plays, listen_counts, history_fence")
    yield from make_kit(
        tmp_path, kafka=broker, redis_url=own_valkey.address, postgres_dsn=postgres.address
    )


def limit_letters(kit: Kit, most_bytes: int) -> None:
    """Have the broker refuse messages on the topic of dead letters that are longer."""
    topic = str(Topics(kit.settings.namespace).dead_letters)
    entry = ConfigEntry(
        "max.message.bytes", str(most_bytes), incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kit.settings.kafka})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(20)


def test_without_a_place_for_dead_letters_workers_stop_before_the_message(kit: Kit) -> None:
    kit.send_random(50, seed=71)
    kit.send((0, b"nonsense"), (0, None))
    poison = end_offsets(kit.settings, kit.plays)[0] - 2
    kit.send_random(50, seed=72)
    limit_letters(kit, 64)
    for worker in [kit.start(name) for name in WORKERS]:
        assert worker.wait(60), worker.tail(20)
        assert worker.exit_code == UNAVAILABLE
        assert "dead letters cannot be written" in worker.tail(5)
    assert kit.dead_letters() == []
    assert int(kit.redis.hget(kit.keys.fence(0), kit.log_id) or -1) < poison
    limit_letters(kit, MB)
    for name in WORKERS:
        kit.start(name)
    kit.wait_applied(*WORKERS)
    assert Counter((letter.stage, letter.reason) for letter in kit.dead_letters()) == {
        (name, reason): 1 for name in WORKERS for reason in ("bad-json", "empty")
    }
    # What is too late for a full window leaves only the window: history and lake keep it.
    for first in (0, WINDOW // 2):
        kit.send(submission("ada", *((1000 + first + i, i) for i in range(WINDOW // 2))))
    kit.wait_applied(*WORKERS)
    assert kit.count("late") == 0
    kit.send(submission("ada", (1, 1), (2, 2)))
    kit.wait_applied(*WORKERS)
    assert kit.count("late") == 2
    kit.assert_features_exact()
    assert_history_exact(kit)
    assert_lake_exact(kit)


def test_a_flood_while_the_stores_are_away_does_not_fill_the_memory(
    kit: Kit, own_valkey: Valkey, postgres: Postgres
) -> None:
    """More than twice what a worker may hold waits in the log, not in the workers."""
    flood, most = 480 * MB, 220 * MB
    kit.send_random(20, seed=73)
    workers = {name: kit.start(name) for name in ("listeners", "history-sink")}
    kit.wait_applied(*workers)
    before = {name: resident(worker) for name, worker in workers.items()}
    own_valkey.kill()
    postgres.kill()
    try:
        blob = {"blob": "x" * 500_000}
        kit.send(*(submission(f"user {n}", (n, n), extra=blob) for n in range(flood // 500_000)))
        peaks, still = dict(before), 0
        for _ in range(60):  # until neither has grown for four seconds
            time.sleep(1)
            now = {name: resident(worker) for name, worker in workers.items()}
            still = 0 if any(now[name] > peaks[name] + MB for name in now) else still + 1
            peaks = {name: max(peaks[name], now[name]) for name in now}
            if still == 4:
                break
        assert still == 4, "a worker keeps growing"
    finally:
        postgres.start()
        own_valkey.start()
    grown = {name: (peaks[name] - before[name]) // MB for name in workers}
    print(f"memory grew by {grown} MB while {flood // MB} MB waited")
    assert max(grown.values()) < most // MB, grown
    kit.wait_applied(*workers, timeout=120)
    kit.assert_features_exact()
    assert_history_exact(kit)
    assert heartbeats(kit.settings)["history-sink"].state == "running"


def resident(worker: Process) -> int:
    """Return the resident memory of a worker; it must be the process that was started."""
    assert worker.pid is not None, worker.tail(20)
    return int(psutil.Process(worker.pid).memory_info().rss)


def test_one_hot_listener_does_not_starve_the_others(kit: Kit) -> None:
    """By counts, not by time: how many of its messages are applied before everybody else's."""
    hot, count = "hot", 1000
    home = partition_of(hot, 4)
    cold = {p: next(f"cold {i}" for i in range(99) if partition_of(f"cold {i}", 4) == p)
            for p in range(4)}  # fmt: skip
    message = encode(submission(hot, *((i, i) for i in range(200))))
    assert len(message) * count > 9 * 4 * MB, "many fetches of one partition"
    kit.send(*[(home, message)] * (count // 4))
    kit.send(submission(cold[home], (1, 1)))
    kit.send(*[(home, message)] * (count * 3 // 4))
    kit.send(*(submission(user, (1, 1)) for p, user in cold.items() if p != home))
    with redis.Redis.from_url(kit.settings.redis_url) as client:
        channel = client.pubsub(ignore_subscribe_messages=True)
        channel.subscribe(kit.keys.events)
        channel.get_message(timeout=5)
        kit.start("listeners")
        kit.wait_applied("listeners")
        applied, before = 0, {}
        while (told := channel.get_message(timeout=1)) is not None:
            for event in decode(told["data"]):
                if event.user == hot:
                    applied += event.count // 200
                else:
                    before[event.user] = applied
    assert applied == count
    assert set(before) == set(cold.values())
    others = max(before[user] for p, user in cold.items() if p != home)
    print(f"{others} of {count} messages of the hot listener came before the other partitions")
    assert others <= count // 2
    # In its own partition the log's order holds; another batch may have been in flight.
    assert count // 4 <= before[cold[home]] + count // 8
    assert before[cold[home]] <= count // 2
