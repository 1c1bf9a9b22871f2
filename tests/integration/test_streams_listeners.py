"""The listeners worker as a real process: killed, joined, starved of Redis, fed poison."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.events import Feedback, Submission, encode
from contracts.features import Listener
from contracts.heartbeat import decode
from contracts.ids import partition_of, track_key
from contracts.topics import Topics
from infra.stack.process import wait_until
from infra.stack.progress import heartbeats
from infra.stack.server import Server
from infra.stack.valkey import Valkey
from streams.fetching import HELD_MS, REST_SECONDS
from streams.steps import BEFORE_COMMIT, BEFORE_WRITE, WRITTEN
from tests.integration.streams_kit import Kit, make_kit
from tests.streams.plays import submission

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def kit(tmp_path: Path, broker: Server, own_valkey: Valkey) -> Iterator[Kit]:
    yield from make_kit(tmp_path, kafka=broker, redis_url=own_valkey.address)


@pytest.mark.each_broker
def test_counts_are_exact_after_kills_at_each_step_of_a_commit(kit: Kit) -> None:
    kit.send_random(3000, seed=1)
    for step in (BEFORE_WRITE, WRITTEN, BEFORE_COMMIT):
        kit.wait_killed(kit.start("listeners", kill_at=step))
        kit.send_random(500, seed=2 + len(kit.workers))
    assert kit.count("plays") > 0, "killed before the offsets were committed, not before the write"
    kit.start("listeners")
    kit.send_random(500, seed=2)
    kit.wait_applied("listeners")
    kit.assert_features_exact()


def test_sigterm_ends_in_order_with_everything_committed(kit: Kit) -> None:
    kit.send_random(300, seed=3)
    worker = kit.start("listeners")
    kit.wait_applied("listeners")
    kit.stop(worker)
    fences = {p: int(kit.redis.hget(kit.keys.fence(p), kit.log_id) or -1) + 1 for p in range(4)}
    assert sum(fences.values()) == 300
    assert kit.committed(f"{kit.settings.namespace}.listeners") == fences
    assert heartbeats(kit.settings)["listeners"].state == "stopped"


def test_poison_is_set_aside_with_its_reason_and_the_rest_goes_on(kit: Kit) -> None:
    stranger = next(f"s{i}" for i in range(99) if partition_of(f"s{i}", 4) == 3)
    unlike = encode(submission(stranger, (1, 1)))
    poison: dict[str, bytes | None] = {
        "bad-json": b'{"user_id": "ada", "plays": [',
        "bad-schema": b'{"user_id": 7, "plays": []}',
        "bad-version": b'{"user_id": "ada", "plays": [], "version": 9}',
        "empty": None,
        "too-many-plays": encode(submission("ada", *((i, i) for i in range(201)))),
        "bad-partition": unlike,
    }
    kit.send_random(50, seed=4)
    for value in poison.values():
        kit.send((0, value))
    kit.send((0, b"\xff\xfe" * 450_000))
    kit.send_random(50, seed=5)
    worker = kit.start("listeners")
    kit.wait_applied("listeners")
    kit.assert_features_exact()
    letters = kit.dead_letters()
    assert sorted(x.reason for x in letters) == sorted([*poison, "bad-json"])
    found = {x.reason: x for x in letters if not (x.value or b"").startswith(b"\xff")}
    for reason, value in poison.items():
        assert found[reason].value == value or value is None
        assert (found[reason].topic, found[reason].stage) == (kit.plays, "listeners")
    # A restart reads on behind the poison: it is not set aside a second time.
    kit.stop(worker)
    kit.start("listeners")
    kit.send_random(10, seed=6)
    kit.wait_applied("listeners")
    assert len(kit.dead_letters()) == len(letters)


def test_redis_may_go_and_come_back(kit: Kit, own_valkey: Valkey) -> None:
    kit.send_random(200, seed=7)
    worker = kit.start("listeners")
    kit.wait_applied("listeners")
    own_valkey.kill()
    kit.send_random(500, seed=8)
    time.sleep(3)
    assert worker.pid is not None, worker.tail(30)  # it waits for Redis, it does not end
    own_valkey.start()
    kit.wait_applied("listeners")
    kit.assert_features_exact()
    assert worker.pid is not None, worker.tail(30)


def test_a_store_that_was_emptied_is_folded_again_from_the_log(kit: Kit) -> None:
    kit.send_random(200, seed=9)
    worker = kit.start("listeners")
    kit.wait_applied("listeners")
    kit.redis.flushall()
    kit.send_random(50, seed=10)
    assert wait_until(lambda: worker.pid is None, 90)
    assert worker.exit_code == 3
    kit.start("listeners")
    kit.wait_applied("listeners")
    kit.assert_features_exact()


@pytest.mark.each_broker
def test_workers_come_and_go_under_load(kit: Kit) -> None:
    first = kit.start("listeners")
    kit.send_random(200, seed=11)
    kit.wait_applied("listeners")
    second = kit.start("listeners", host_name="other")
    seeds = iter(range(12, 999))
    deadline = time.monotonic() + 90
    while _messages(kit, "listeners@other") < 20:
        assert time.monotonic() < deadline, second.tail(30)
        kit.send_random(40, next(seeds))
        time.sleep(0.3)
    kit.stop(first)
    for _ in range(10):
        kit.send_random(40, next(seeds))
        time.sleep(0.3)
    total = sum(len(s.plays) for s in kit.sent)
    assert wait_until(lambda: kit.count("plays") >= total, 90), second.tail(30)
    kit.assert_features_exact()


def _messages(kit: Kit, worker: str) -> float:
    value = kit.redis.hget(kit.keys.workers, worker)
    return 0 if not isinstance(value, bytes) else decode(value).counters.get("messages", 0)


def test_redelivery_of_everything_changes_nothing(kit: Kit) -> None:
    kit.send_random(300, seed=30)
    worker = kit.start("listeners")
    kit.wait_applied("listeners")
    kit.stop(worker)
    before = {k: kit.redis.get(k) for k in kit.redis.keys("*:listener:*")}
    for p in range(4):  # as a new log with the same plays would look
        kit.redis.hdel(kit.keys.fence(p), kit.log_id)
    worker = kit.start("listeners")
    twice = 2 * sum(len(s.plays) for s in kit.sent)
    assert wait_until(lambda: kit.count("plays") == twice, 90), worker.tail(20)
    assert {k: kit.redis.get(k) for k in before} == before


def test_feedback_hides_and_shows_again(kit: Kit) -> None:
    from confluent_kafka import Producer

    topic = Topics(kit.settings.namespace).feedback
    producer = Producer({"bootstrap.servers": kit.settings.kafka, "acks": "all"})
    for kind, title in (("hate", "T"), ("hide", "U"), ("undo", "T"), ("wrong", "V")):
        message = Feedback(user_id="ada", kind=kind, at=1, source="t", artist="A", title=title)
        producer.produce(topic, encode(message), b"ada", partition_of("ada", 4))
    assert producer.flush(10) == 0
    kit.start("listeners")

    def hidden() -> list[int]:
        blob = kit.redis.get(kit.keys.listener("ada"))
        assert not isinstance(blob, str)
        return [int(key) for key in Listener.unpack(blob).hidden]

    assert wait_until(lambda: hidden() == [track_key("A", "U")], 90)
    assert [x.reason for x in kit.dead_letters()] == ["bad-schema"]


@pytest.mark.each_broker
def test_a_play_is_seen_soon(kit: Kit) -> None:
    """A worker that let the broker hold a fetch to its end would see each play a second late."""
    kit.start("listeners")
    kit.send(submission("ada", (0, 0)))
    kit.wait_applied("listeners")
    waits = []
    for i in range(1, 30):
        started = time.perf_counter()
        one: Submission = submission("ada", (i, i))
        kit.send(one)
        kit.redis.publish(kit.keys.posted, b"")  # as the API does where the broker is Tansu
        assert wait_until(lambda: kit.count("plays") == i + 1, 90, every=0.002)  # noqa: B023
        waits.append(time.perf_counter() - started)
    # Each play is sent right after the one before was seen: if a wait were a fetch's, all would be.
    # The shortest of 29 does not depend on how busy the machine is.
    assert min(waits) < min(HELD_MS / 1000, REST_SECONDS) / 2, waits
