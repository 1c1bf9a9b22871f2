"""Plays per second through the speed layer, beside a plain batch consumer in the same run.

The log is filled first, then one worker at a time folds it from the beginning, so each has a core
to itself. The clock runs from the first applied offset that the worker's own heartbeat reports, so
start-up and compilation are not counted. The floor reads and decodes the same messages with a
plain consumer and does nothing else.
"""

from __future__ import annotations

import time
from typing import Any

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.events import Play, Submission, decode_submission, encode
from contracts.ids import event_id, partition_of, track_id
from contracts.topics import Topics
from contracts.workers import CORE_FOLDS
from infra.stack.progress import ends, heartbeats
from infra.stack.stack import Stack
from tests.benchmarks.figures import machine
from tests.benchmarks.stack import servers
from tests.plays import interactions

# With the usual settings the lake sink would read the whole log into one or two commits, and wait
# for the last. What is measured is how fast it writes, not how long it may rest.
_LAKE_ROWS, _LAKE_SECONDS = 10_000, 0.25


def run(
    *, broker: str = "tansu", imports: int = 200_000, live: int = 60_000, plays_a_message: int = 100
) -> dict[str, Any]:
    """Measure plays a second through each worker of the speed layer.

    Parameters
    ----------
    imports, live
        Plays that come in large messages, and plays that come one a message.
    plays_a_message
        Of the large messages.
    """
    result: dict[str, Any] = {"broker": broker, "machine": machine()}
    for name, plays, size in (("imports", imports, plays_a_message), ("live", live, 1)):
        with servers(broker, lake_rows=_LAKE_ROWS, lake_seconds=_LAKE_SECONDS) as stack:
            sent = _fill(stack, plays, size)
            rows: dict[str, Any] = {"plays": plays, "messages": sent, "floor": _floor(stack)}
            for worker in CORE_FOLDS:
                rows[worker] = _worker(stack, worker, plays / sent)
            for worker in CORE_FOLDS:
                if "plays_per_s" not in rows[worker]:
                    continue
                rows[worker]["ratio_to_floor"] = round(
                    rows[worker]["plays_per_s"] / rows["floor"]["plays_per_s"], 4
                )
            result[name] = rows
    return result


def _fill(stack: Stack, plays: int, size: int) -> int:
    """Write the log and return the number of messages."""
    data = interactions(plays, listeners=2_000, tracks=5_000)
    producer = Producer(
        {
            "bootstrap.servers": stack.settings.kafka,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
        }
    )
    topic = Topics(stack.settings.namespace).plays
    waiting: dict[str, list[Play]] = {}
    sent = 0

    def send(user: str) -> None:
        nonlocal sent
        submission = Submission(user_id=user, plays=waiting.pop(user))
        partition = partition_of(user, stack.settings.partitions)
        while True:
            try:
                producer.produce(topic, encode(submission), user.encode(), partition)
                break
            except BufferError:
                producer.poll(0.1)
        sent += 1

    for row, (user, _, second) in enumerate(data.iter_rows()):
        artist, title = data.name(row, "bench")
        play = Play(
            event_id=event_id(user, second * 1000, artist, title),
            track_id=track_id(artist, title),
            artist=artist,
            title=title,
            played_at=second * 1000,
            received_at=second * 1000,
            source="bench/1",
        )
        waiting.setdefault(user, []).append(play)
        if len(waiting[user]) >= size:
            send(user)
    for user in list(waiting):
        send(user)
    assert producer.flush(60) == 0
    return sent


def _floor(stack: Stack) -> dict[str, float]:
    topic = Topics(stack.settings.namespace).plays
    true_ends = ends(stack.settings)
    total = sum(true_ends.values())
    consumer = Consumer(
        {
            "bootstrap.servers": stack.settings.kafka,
            "group.id": "floor",
            "enable.auto.commit": False,
        }
    )
    places = [TopicPartition(topic, p, 0) for p in range(stack.settings.partitions)]
    consumer.assign(places)
    plays = messages = 0
    cpu = time.process_time()
    started = time.perf_counter()
    while messages < total:
        for message in consumer.consume(5_000, 1.0):
            plays += len(decode_submission(message.value()).plays)
            messages += 1
    seconds = time.perf_counter() - started
    cpu = time.process_time() - cpu
    consumer.close()
    return {
        "plays_per_s": round(plays / seconds),
        "messages_per_s": round(messages / seconds),
        "cpu_us_per_play": round(cpu / plays * 1e6, 2),
    }


def _worker(stack: Stack, name: str, plays_a_message: float) -> dict[str, float]:
    true_ends = ends(stack.settings)
    total = sum(true_ends.values())
    process = stack.start_worker(name)
    first: tuple[float, int, float] | None = None
    deadline = time.monotonic() + 300
    try:
        while time.monotonic() < deadline:
            beat = heartbeats(stack.settings).get(name)
            done = sum(beat.offsets.get(place, 0) for place in true_ends) if beat else 0
            assert process.pid is not None, f"{name} ended: {process.tail()}"
            used = psutil.Process(process.pid).cpu_times()
            cpu = used.user + used.system
            now = time.perf_counter()
            if first is None and done:
                first = (now, done, cpu)
            if first is not None and done >= total:
                messages = done - first[1]
                seconds = now - first[0]
                if not messages:  # all of it between two heartbeats
                    return {"measured_share": 0.0, "rss_mb": _rss(process.pid)}
                return {
                    "plays_per_s": round(messages * plays_a_message / seconds),
                    "messages_per_s": round(messages / seconds),
                    "cpu_us_per_play": round(
                        (cpu - first[2]) / (messages * plays_a_message) * 1e6, 1
                    ),
                    "measured_share": round(messages / total, 3),
                    "rss_mb": _rss(process.pid),
                }
            time.sleep(0.02)
        raise TimeoutError(f"{name} applied {done} of {total} messages")
    finally:
        process.stop()


def _rss(pid: int) -> int:
    return round(psutil.Process(pid).memory_info().rss / 2**20)
