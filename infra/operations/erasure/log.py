"""Kafka: the erasure as a message, and waiting until every fold of the log honours it.

Kafka cannot delete the messages of one listener. After an erasure no worker uses them: each reads
the whole topic ``erasures`` before it folds anything. The log's retention deletes the bytes.
"""

from __future__ import annotations

import os
import time
import zlib

from confluent_kafka import KafkaException

from contracts import kafka_client
from contracts.deliveries import Deliveries
from contracts.erasures import Erasure, encode, listener_key
from contracts.errors import BrokerUnavailable, StoreUnavailable
from contracts.heartbeat import STOPPED, Heartbeat, in_model
from contracts.kafka import end_offsets, log_id
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.workers import BY_NAME, LEARNER, wanted
from infra.operations.erasure.target import Target
from infra.stack.progress import heartbeats_by_host, wait_applied

_ACK_SECONDS = 10
#: A process that has been silent for so long (ms) belongs to a host that is gone; should it return,
#: it reads the erasures before anything else.
GONE_MS = 24 * 60 * 60 * 1000
_GONE_FOR_GOOD = "; if that host will not return: segue hosts forget HOST"


def ends(settings: Settings) -> dict[str, list[int]]:
    """Return where each log of people's messages ends now: log id -> end offset by partition.

    Raises
    ------
    BrokerUnavailable
        The broker does not answer, or a topic is missing.
    """
    topics = Topics(settings.namespace)
    named = (topics.plays, topics.feedback, topics.impressions, topics.dead_letters)
    return {log_id(settings, topic): end_offsets(settings, topic) for topic in named}


def publish(settings: Settings, target: Target) -> dict[str, int]:
    """Append the erasure and return its place: ``{"partition", "offset"}``.

    Raises
    ------
    BrokerUnavailable
        Not acknowledged; appending it again is harmless.
    """
    topic = Topics(settings.namespace).erasures
    name = listener_key(target.user_id)
    key = f"{name}:{target.event_id or ''}".encode()
    erasure = Erasure(
        listener=name,
        before=target.before_ms,
        event_id=target.event_id or "",
        ends=target.ends,
    )
    deliveries = Deliveries()
    producer = kafka_client.producer(
        settings, "erasures", {"message.timeout.ms": _ACK_SECONDS * 1000}
    )
    try:
        partition = zlib.crc32(key) % settings.partitions
        producer.produce(topic, encode(erasure), key, partition, on_delivery=deliveries)
        why = deliveries.wait(producer, _ACK_SECONDS + 2)
    except (KafkaException, BufferError) as error:
        raise BrokerUnavailable(f"the erasure was not recorded: {error}") from None
    if why or deliveries.last is None:
        raise BrokerUnavailable(f"the erasure was not recorded: {why}")
    return {"partition": partition, "offset": deliveries.last.offset() or 0}


def wait_until_known(
    settings: Settings, partition: int, offset: int, seconds: float
) -> dict[str, int]:
    """Wait until every worker knows an erasure and has applied what it had read before.

    :func:`awaits` lists the processes of which that is asked.

    After this no store receives anything that the erasure covers.

    Raises
    ------
    StoreUnavailable
        A worker does not get there in time; the message names it.
    """
    place = Topics(settings.namespace).erasures.place(partition)
    deadline = time.monotonic() + seconds
    folders = tuple(spec.name for spec in wanted(os.environ) if spec.folds)
    count = _wait_for(settings, place, offset, deadline, folders)
    # Batches decoded before the erasure was known end at or before the end of the log as it is now.
    if behind := wait_applied(settings, max(1.0, deadline - time.monotonic()), folders):
        raise StoreUnavailable(f"{', '.join(lag.worker for lag in behind)} must first catch up")
    return {"workers": count}


def wait_until_unlearned(
    settings: Settings, partition: int, offset: int, seconds: float
) -> dict[str, int]:
    """Wait until neither the model nor a snapshot of any learner holds the listener.

    Raises
    ------
    StoreUnavailable
        A learner does not get there in time.
    """
    place = in_model(Topics(settings.namespace).erasures.place(partition))
    deadline = time.monotonic() + seconds
    return {"models": _wait_for(settings, place, offset, deadline, (LEARNER.name,))}


def _wait_for(
    settings: Settings, place: str, offset: int, deadline: float, workers: tuple[str, ...]
) -> int:
    while True:
        missing, count = _missing(settings, place, offset, workers)
        if not missing:
            return count
        if time.monotonic() > deadline:
            hint = _GONE_FOR_GOOD if any("@" in name for name in missing) else ""
            raise StoreUnavailable(f"{', '.join(missing)} must first read the erasure{hint}")
        time.sleep(0.2)


def _missing(
    settings: Settings, place: str, offset: int, workers: tuple[str, ...]
) -> tuple[list[str], int]:
    now = int(time.time() * 1000)
    awaited = {
        name: beat
        for name, beat in heartbeats_by_host(settings).items()
        if name.partition("@")[0] in workers and awaits(beat, now)
    }
    nobody = set(workers) - {name.partition("@")[0] for name in awaited}
    late = {
        name
        for name, beat in awaited.items()
        if not beat.is_fresh(now) or beat.offsets.get(place, 0) <= offset
    }
    return sorted(nobody | late), len(awaited)


def awaits(beat: Heartbeat, now_ms: int) -> bool:
    """Return whether an erasure waits until this process has applied it.

    A process that reports must have applied it. One that is silent has ended, was paused, or does
    not reach Redis. Its next start reads the erasures first, so only what it may still do or still
    holds matters:

    - A fenced worker: nothing. The erasure waits until the other processes have applied everything
      it covers, and from then on the store refuses what the silent process has read before.
    - The Snowflake sink may still upload a file, unless it has stopped in order.
    - A learner holds the listener on its own disk, also when it has stopped.

    Parameters
    ----------
    now_ms
        Milliseconds since the epoch, UTC.
    """
    spec = BY_NAME[beat.name.partition("@")[0]]
    if beat.is_live(now_ms):
        return True
    if spec.fenced or now_ms - beat.at >= GONE_MS:
        return False
    return spec.every_host or beat.state != STOPPED
