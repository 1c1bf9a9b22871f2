"""Plays per second through the speed layer, beside a plain batch consumer in the same run.

The log is filled first, then one worker at a time folds it from the beginning, so each has a core
to itself. The clock runs from the first heartbeat of the worker that reports applied messages to
the last one that does not report all of them: start-up, compilation and the rest of the last second
are not counted. So a worker must need several seconds for the log. The floor reads and decodes the
same messages with a plain consumer and does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.events import Play, Submission, decode_submission, encode
from contracts.ids import event_id, partition_of, track_id
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.workers import CORE_FOLDS
from infra.operations import interactions
from infra.operations.interactions import InteractionLog
from infra.stack.progress import ends, heartbeats
from infra.stack.stack import Stack
from tests.benchmarks.figures import machine
from tests.benchmarks.stack import servers
from tests.plays import interactions as invented

# With the usual settings the lake sink would read the whole log into one or two commits, and wait
# for the last. What is measured is how fast it writes, not how long it may rest.
_LAKE_ROWS, _LAKE_SECONDS = 10_000, 0.25


def run(
    *,
    broker: str = "tansu",
    imports: int = 400_000,
    live: int = 200_000,
    plays_a_message: int = 100,
    worker: str = "",
    file: Path | None = None,
) -> dict[str, Any]:
    """Measure plays a second through each worker of the speed layer.

    Parameters
    ----------
    imports, live
        Plays that come in large messages, and plays that come one a message.
    plays_a_message
        Of the large messages; a listener's last one may hold fewer.
    worker
        Only this one; default: listeners, learner, history-sink and lake-sink.
    file
        Interactions, parquet or csv, of which to take the plays; default: invented plays, of few
        tracks and listeners. A trial of the learner takes longer with those.
    """
    result: dict[str, Any] = {"broker": broker, "machine": machine()}
    workers = [worker] if worker else list(CORE_FOLDS)
    for name, plays, size in (("imports", imports, plays_a_message), ("live", live, 1)):
        with servers(broker, lake_rows=_LAKE_ROWS, lake_seconds=_LAKE_SECONDS) as stack:
            data = None if file is None else interactions.read(file, limit=plays)
            filled = messages(stack.settings, plays, size, data=data)
            send(stack.settings, filled)
            sent, start = len(filled.messages), dict.fromkeys(range(stack.settings.partitions), 0)
            lowest = floor(stack.settings, start, sent)
            rows: dict[str, Any] = {"plays": filled.plays, "messages": sent, "floor": lowest}
            for each in workers:
                rows[each] = row = _worker(stack, each, filled.plays / sent)
                if "plays_per_s" in row:
                    row["ratio_to_floor"] = round(row["plays_per_s"] / lowest["plays_per_s"], 4)
            result[name] = rows
    return result


class Filled(NamedTuple):
    """Messages for the log, with the number of plays they hold."""

    messages: list[tuple[int, bytes, bytes]]
    plays: int


def messages(
    settings: Settings,
    plays: int,
    size: int,
    *,
    shift: int = 0,
    data: InteractionLog | None = None,
) -> Filled:
    """Return plays as messages ``(partition, key, value)`` of up to ``size`` plays.

    Parameters
    ----------
    shift
        Seconds to add to each play's time: another shift gives other plays.
    data
        The plays; default: invented ones.
    """
    data = data or invented(plays, listeners=2_000, tracks=5_000)
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
    return Filled(made, len(data))


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


class _Look(NamedTuple):
    """What one heartbeat reports, and the processor time used until then."""

    at: float
    done: int
    cpu: float


def _worker(stack: Stack, name: str, plays_a_message: float) -> dict[str, float]:
    true_ends = ends(stack.settings)
    total = sum(true_ends.values())
    process = stack.start_worker(name)
    looks: list[_Look] = []
    done = 0
    deadline = time.monotonic() + 300
    try:
        while done < total:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} applied {done} of {total} messages")
            assert process.pid is not None, f"{name} ended: {process.tail()}"
            used = psutil.Process(process.pid).cpu_times()
            beat = heartbeats(stack.settings).get(name)
            done = sum(beat.offsets.get(place, 0) for place in true_ends) if beat else 0
            new = beat is not None and not (looks and looks[-1].at == beat.at / 1000)
            if beat is not None and new and 0 < done < total:
                looks.append(_Look(beat.at / 1000, done, used.user + used.system))
            time.sleep(0.02)
        assert process.pid is not None
        memory = _rss(process.pid)
    finally:
        process.stop()
    if len(looks) < 2:  # all of it between two or three heartbeats
        return {"measured_share": 0.0, "rss_mb": memory}
    first, last = looks[0], looks[-1]
    measured, seconds = last.done - first.done, last.at - first.at
    plays = measured * plays_a_message
    return {
        "plays_per_s": round(plays / seconds),
        "messages_per_s": round(measured / seconds),
        "cpu_us_per_play": round((last.cpu - first.cpu) / plays * 1e6, 1),
        "measured_share": round(measured / total, 3),
        "rss_mb": memory,
    }


def _rss(pid: int) -> int:
    return round(psutil.Process(pid).memory_info().rss / 2**20)
