"""`segue bench broker`: what the embedded broker pays for a message as its log grows.

Every message is a batch of its own, as single plays are, and a few are in flight at a time. Each
round measures the same number of messages twice, without followers and with them, then lets the log
grow. What counts is the broker's processor time a message (valid on a busy machine); the first
round, on a fresh log, is the floor of the later ones.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.kafka import ensure_topics
from contracts.settings import Settings
from infra.stack.apache_kafka import ApacheKafka
from infra.stack.ports import free_ports
from infra.stack.server import Server
from infra.stack.tansu import Tansu
from tests.benchmarks.figures import machine

_TOPIC = "measured"
_PARTITIONS = 4
_VALUE = b"x" * 400
_UNDER_WAY = 64


def run(
    *,
    broker: str = "tansu",
    growth: int = 20_000,
    rounds: int = 4,
    messages: int = 2_000,
    followers: int = 4,
    wait_ms: int = 20,
    min_bytes: int = 1,
) -> dict[str, Any]:
    """Measure the processor time the broker pays for a single-message batch as its log grows.

    Parameters
    ----------
    growth
        Messages by which the log grows between two rounds.
    rounds
        Sizes of the log to measure at.
    messages
        Batches measured at each size.
    followers
        Consumers that read all partitions.
    wait_ms, min_bytes
        How long and for how much the broker may hold their fetches.
    """
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        port, second = free_ports(2)
        server: Server = (
            Tansu(Path(folder), port)
            if broker == "tansu"
            else ApacheKafka(Path(folder), port, second)
        )
        started = time.perf_counter()
        try:
            server.start()
            seconds_to_answer = time.perf_counter() - started
            ensure_topics(Settings(kafka=server.address, partitions=_PARTITIONS), {_TOPIC: {}})
            consumer = {"fetch.wait.max.ms": wait_ms, "fetch.min.bytes": min_bytes}
            found = list(_rounds(server, growth, rounds, messages, followers, consumer))
            return {
                "rounds": found,
                "seconds_to_answer": round(seconds_to_answer, 1),
                "idle_core_share": _idle(server),
                "broker": broker,
                "machine": machine(),
            }
        finally:
            server.stop()


def _rounds(
    server: Server,
    growth: int,
    rounds: int,
    messages: int,
    followers: int,
    consumer: dict[str, Any],
) -> Iterator[dict[str, Any]]:
    produce = _producer(server.address)
    produce(messages)  # a virtual machine compiles what it runs often
    size = messages
    for number in range(rounds):
        if number:
            produce(growth)
            size += growth
        alone = _cost(server, messages, produce)
        end = (size + messages) // _PARTITIONS
        with _followers(server.address, followers, consumer, end) as counts:
            followed = _cost(server, messages, produce)
        yield {
            "batches_in_log": size,
            "alone": alone,
            "followed": followed,
            "received": sum(counts),
            "resident_mb": round(psutil.Process(server.pid).memory_info().rss / 1e6),
        }
        size += 2 * messages


def _producer(address: str) -> Callable[[int], None]:
    producer = Producer(
        {
            "bootstrap.servers": address,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0,
            "batch.num.messages": 1,
        }
    )
    under_way = 0

    def arrived(error: object, _: object) -> None:
        nonlocal under_way
        assert error is None, error
        under_way -= 1

    def produce(count: int) -> None:
        nonlocal under_way
        for n in range(count):
            while under_way >= _UNDER_WAY:
                producer.poll(0.001)
            under_way += 1
            producer.produce(_TOPIC, _VALUE, b"k", n % _PARTITIONS, arrived)
            producer.poll(0)
        producer.flush()

    return produce


def _cost(server: Server, messages: int, produce: Callable[[int], None]) -> dict[str, float]:
    assert server.pid is not None
    process = psutil.Process(server.pid)
    before, started = process.cpu_times(), time.perf_counter()
    produce(messages)
    after, seconds = process.cpu_times(), time.perf_counter() - started
    spent = after.user + after.system - before.user - before.system
    return {
        "broker_cpu_us": round(1e6 * spent / messages, 1),
        "rate": round(messages / seconds),
    }


@contextmanager
def _followers(
    address: str, count: int, settings: dict[str, Any], begin: int
) -> Iterator[list[int]]:
    """Run consumers that follow every partition from an offset; give what each has read."""
    stop = threading.Event()
    level = [threading.Event() for _ in range(count)]
    received = [0] * count

    def follow(number: int) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "bench",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                **settings,
            }
        )
        consumer.assign([TopicPartition(_TOPIC, p, begin) for p in range(_PARTITIONS)])
        while not stop.is_set():
            got = len(consumer.consume(1000, 0.2))
            received[number] += got
            if not got:
                level[number].set()
        consumer.close()

    threads = [threading.Thread(target=follow, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for each in level:
        each.wait(60)
    try:
        yield received
    finally:
        time.sleep(0.3)
        stop.set()
        for thread in threads:
            thread.join(10)


def _idle(server: Server) -> float:
    """Return the share of a core of a broker that nobody asks anything."""
    assert server.pid is not None
    process = psutil.Process(server.pid)
    before = process.cpu_times()
    time.sleep(5)
    after = process.cpu_times()
    return round((after.user + after.system - before.user - before.system) / 5, 4)
