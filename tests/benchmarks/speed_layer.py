"""Plays per second through the speed layer, beside a plain batch consumer in the same run.

The log is filled first, then one worker at a time folds it from the beginning, so each has a core
to itself. The clock runs from the first applied offset that the worker's own heartbeat reports, so
start-up and compilation are not counted. The floor reads and decodes the same messages with a
plain consumer and does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.events import Play, Submission, decode_submission, encode
from contracts.ids import event_id, partition_of, track_id
from contracts.settings import Settings
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
            filled = messages(stack.settings, plays, size)
            send(stack.settings, filled)
            sent, start = len(filled.messages), dict.fromkeys(range(stack.settings.partitions), 0)
            lowest = floor(stack.settings, start, sent)
            rows: dict[str, Any] = {"plays": plays, "messages": sent, "floor": lowest}
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


class Filled(NamedTuple):
    """Messages for the log, with the number of plays they hold."""

    messages: list[tuple[int, bytes, bytes]]
    plays: int


def messages(settings: Settings, plays: int, size: int, *, shift: int = 0) -> Filled:
    """Return invented plays as messages ``(partition, key, value)`` of up to ``size`` plays.

    Parameters
    ----------
    shift
        Seconds to add to each play's time: another shift gives other plays.
    """
    data = interactions(plays, listeners=2_000, tracks=5_000)
    waiting: dict[str, list[Play]] = {}
    made: list[tuple[int, bytes, bytes]] = []

    def close(user: str) -> None:
        value = encode(Submission(user_id=user, plays=waiting.pop(user)))
        made.append((partition_of(user, settings.partitions), user.encode(), value))

    for row, (user, _, second) in enumerate(data.iter_rows()):
        artist, title = data.name(row, "bench")
        at = (second + shift) * 1000
        play = Play(
            event_id=event_id(user, at, artist, title),
            track_id=track_id(artist, title),
            artist=artist,
            title=title,
            played_at=at,
            received_at=at,
            source="bench/1",
        )
        waiting.setdefault(user, []).append(play)
        if len(waiting[user]) >= size:
            close(user)
    for user in list(waiting):
        close(user)
    return Filled(made, plays)


def send(settings: Settings, filled: Filled) -> None:
    """Write messages to the log."""
    own = {"acks": "all", "enable.idempotence": True, "linger.ms": 20}
    producer = Producer({"bootstrap.servers": settings.kafka, **own})
    topic = Topics(settings.namespace).plays
    for partition, key, value in filled.messages:
        while True:
            try:
                producer.produce(topic, value, key, partition)
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


def floor(settings: Settings, start: Mapping[int, int], count: int) -> dict[str, float]:
    """Return how fast a plain consumer reads and decodes messages.

    Parameters
    ----------
    start
        ``partition -> offset`` of the first message.
    count
        Of messages.
    """
    topic = Topics(settings.namespace).plays
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka,
            "group.id": "floor",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, p, offset) for p, offset in start.items()])
    plays = read = 0
    cpu = time.process_time()
    started = time.perf_counter()
    while read < count:
        for message in consumer.consume(5_000, 1.0):
            plays += len(decode_submission(message.value()).plays)
            read += 1
    seconds = time.perf_counter() - started
    cpu = time.process_time() - cpu
    consumer.close()
    return {
        "plays_per_s": round(plays / seconds),
        "messages_per_s": round(read / seconds),
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
