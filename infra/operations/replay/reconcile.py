"""Counting a replay in every store: accepted = in Kafka = in Redis = in lake and warehouse.

Two quantities are compared. *Deliveries* are the plays in the log: a client that retries delivers a
play twice, and every fold must have applied exactly the deliveries of the log. *Distinct plays* are
event ids: there must be exactly the accepted ones, regardless of repeated deliveries.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from confluent_kafka import TopicPartition

from contracts import kafka_client
from contracts.errors import InvalidEvent, StoreUnavailable
from contracts.events import decode_submission
from contracts.features import WINDOW, Keys, Listener
from contracts.ids import track_key
from contracts.kafka import end_offsets, log_id
from contracts.lake_tables import lake_table
from contracts.postgres import connect
from contracts.settings import Settings
from contracts.topics import Topic, Topics
from infra.operations import database
from infra.stack.progress import wait_applied


@dataclass(frozen=True, slots=True)
class Mark:
    """Offsets of the stores before the replay."""

    log_id: str
    offsets: list[int]
    redis_deliveries: int


class Tally(msgspec.Struct):
    """Counts of one store; a field is ``None`` where the store does not hold that quantity."""

    deliveries: int | None = None
    distinct: int | None = None
    missing: int | None = None
    doubled: int | None = None


def mark(settings: Settings) -> Mark:
    """Remember where the log ends and what has been applied, before posting."""
    log = log_id(settings, Topics(settings.namespace).plays)
    ends = settled(settings, timeout=120)
    return Mark(log, ends, _redis_deliveries(settings, log))


def settled(
    settings: Settings, *, timeout: float, say: Callable[[str], None] = lambda _: None
) -> list[int]:
    """Wait until every store has applied the log, and return where each partition ends.

    Raises
    ------
    StoreUnavailable
        Naming what was not applied.
    """
    topic = Topics(settings.namespace).plays
    wait_for_workers(settings, timeout=timeout, say=say)
    ends = end_offsets(settings, topic)
    _wait_for_fences(settings, topic, log_id(settings, topic), ends, timeout)
    return ends


def wait_for_workers(
    settings: Settings, *, timeout: float, say: Callable[[str], None] = lambda _: None
) -> None:
    """Wait until every worker is durable up to the end of the log.

    Raises
    ------
    StoreUnavailable
        Naming the workers that did not get there.
    """
    deadline = time.monotonic() + timeout
    while behind := wait_applied(settings, 1.0):
        text = ", ".join(
            f"{lag.worker} "
            + ("does not report" if lag.messages is None else f"{lag.messages} messages behind")
            for lag in behind
        )
        say(text)
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"the stack did not catch up within {timeout:.0f} s: {text}")


def _wait_for_fences(
    settings: Settings, topic: Topic, log: str, ends: list[int], timeout: float
) -> None:
    """Wait until the feature store itself has applied the log up to the ends.

    A heartbeat reports the offsets in its worker's memory. For up to a second after FLUSHALL they
    are higher than those of the store, and counts read then match no offset.

    Raises
    ------
    StoreUnavailable
        The store did not get there.
    """
    keys = Keys(settings.namespace, settings.partitions)
    deadline = time.monotonic() + timeout
    while True:
        with database.feature_store(settings) as client:
            fences = [client.hget(keys.fence(p), log) for p in range(settings.partitions)]
        found = [0 if fence is None else int(fence) + 1 for fence in fences]
        if all(at >= end for at, end in zip(found, ends, strict=True)):
            return
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                f"the feature store has applied {topic} up to {found}; the ends are {ends}"
            )
        time.sleep(0.2)


def kafka(settings: Settings, start: Mark, ends: list[int]) -> tuple[int, set[str]]:
    """Return deliveries and distinct event ids between the mark and ``ends``."""
    topic = Topics(settings.namespace).plays
    consumer = kafka_client.consumer(settings, "reconcile")
    deliveries = 0
    distinct: set[str] = set()
    try:
        for partition, (low, end) in enumerate(zip(start.offsets, ends, strict=True)):
            position = low
            if position >= end:
                continue
            consumer.assign([TopicPartition(topic, partition, low)])
            deadline = time.monotonic() + 60
            while position < end:
                for message in consumer.consume(1000, 1.0):
                    if message.error() is not None:
                        continue
                    offset = message.offset()
                    assert offset is not None
                    position = offset + 1
                    if offset >= end:
                        break
                    try:
                        submission = decode_submission(message.value())
                    except InvalidEvent:
                        continue
                    deliveries += len(submission.plays)
                    distinct.update(p.event_id for p in submission.plays)
                if time.monotonic() > deadline:
                    raise StoreUnavailable(f"{topic}/{partition} could not be read to {end}")
    finally:
        consumer.close()
    return deliveries, distinct


def _redis_deliveries(settings: Settings, log: str) -> int:
    keys = Keys(settings.namespace, settings.partitions)
    with database.feature_store(settings) as client:
        counts = [client.hget(keys.counts(p), f"{log}:plays") for p in range(settings.partitions)]
    return sum(int(count or 0) for count in counts)


def feature_store(settings: Settings, start: Mark, plays: dict[str, set[tuple[int, int]]]) -> Tally:
    """Compare each listener's window with the plays (second, track key) it must hold.

    A play that is older than a full window has rightly left it.
    """
    keys = Keys(settings.namespace, settings.partitions)
    deliveries = _redis_deliveries(settings, start.log_id) - start.redis_deliveries
    missing = doubled = 0
    users = list(plays)
    with database.feature_store(settings) as client:
        for begin in range(0, len(users), 500):
            chunk = users[begin : begin + 500]
            pipe = client.pipeline(transaction=False)
            for user in chunk:
                pipe.get(keys.listener(user))
            for user, blob in zip(chunk, pipe.execute(), strict=True):
                listener = Listener.unpack(blob)
                held = list(zip(listener.seconds.tolist(), listener.tracks.tolist(), strict=True))
                doubled += len(held) - len(set(held))
                full = len(held) >= WINDOW
                due = {p for p in plays[user] if not full or p >= held[0]}
                missing += len(due - set(held))
    return Tally(deliveries=deliveries, missing=missing, doubled=doubled)


def lake(settings: Settings, start: Mark, ends: list[int], expected: set[str]) -> Tally:
    """Count the replay's offsets in the Delta table.

    ``doubled`` counts places of the log that landed twice, which must never happen.
    """
    table = lake_table(settings, "plays").open()
    if table is None:
        return Tally(missing=len(expected))
    columns = ["event_id", "kafka_partition", "kafka_offset", "position"]
    rows = table.to_pyarrow_table(columns=columns, filters=[("log_id", "=", start.log_id)])
    places: set[tuple[int, int, int]] = set()
    distinct: set[str] = set()
    deliveries = 0
    for event, partition, offset, position in zip(
        *(rows[c].to_pylist() for c in columns), strict=True
    ):
        if start.offsets[partition] <= offset < ends[partition]:
            deliveries += 1
            places.add((partition, offset, position))
            distinct.add(event)
    return Tally(
        deliveries=deliveries,
        distinct=len(distinct & expected),
        missing=len(expected - distinct),
        doubled=deliveries - len(places),
    )


def history(settings: Settings, users: list[str], expected: set[str]) -> Tally:
    """Count the accepted plays in PostgreSQL; ``doubled``: listeners whose count is wrong.

    A play that is counted as part of another client's is held, among the merged ones.
    """
    with connect(settings.postgres_dsn) as connection:
        rows = connection.execute(
            "select event_id::text from plays where user_id = any(%(users)s)"
            " union select event_id::text from merged_plays where user_id = any(%(users)s)",
            {"users": users},
        )
        found = sum(1 for (event,) in rows if event in expected)
        disagree = connection.execute(
            "select count(*) from listen_counts c where c.user_id = any(%s) and c.plays <>"
            " (select count(*) from plays p where p.user_id = c.user_id)",
            (users,),
        ).fetchone()
    assert disagree is not None
    return Tally(distinct=found, missing=len(expected) - found, doubled=int(disagree[0]))


def window_keys(
    rows: list[tuple[str, int, str, str]],
) -> dict[str, set[tuple[int, int]]]:
    """Return ``user -> {(second, track key)}`` from (user, second, artist, title)."""
    plays: dict[str, set[tuple[int, int]]] = {}
    for user, second, artist, title in rows:
        plays.setdefault(user, set()).add((second, track_key(artist, title)))
    return plays
