"""One run: copies what the new namespace lacks of the log, in the log's order.

The new number of partitions is a multiple of the old one, so each new partition holds messages of
one old partition only, in the same order. The origin of its last copy therefore shows what a
stopped run has copied, and nothing else has to be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from confluent_kafka import KafkaException

from contracts.ids import partition_of
from contracts.kafka import begin_offsets, end_offsets, ensure_topics
from contracts.kafka_client import Complaints, consumer
from contracts.settings import Settings
from contracts.topics import Kind, Topic, Topics
from contracts.whole_topic import read_range
from infra.operations.repartition.checks import (
    check_letters,
    check_names,
    check_origins,
    check_topics,
)
from infra.operations.repartition.copier import Copier
from infra.operations.repartition.messages import Selection
from infra.operations.repartition.origins import Origin, newest_origin
from infra.operations.repartition.pause import without_erasures
from streams.beginning import Beginning
from streams.decode import Record
from streams.worker import Worker

T = TypeVar("T")
#: What is copied: the truth, which no other topic or store replaces. Erasures come first, because
#: the end offsets in them are those of the new logs before anything else is copied.
COPIED = (Kind.ERASURES, Kind.PLAYS, Kind.FEEDBACK)
#: Copied where Flink runs: findings, and the releases of administrators, which no job computes. The
#: learner of the new namespace reads them before Flink has found the same listeners again.
OF_FLINK = (Kind.SUSPECTS,)
_READS = {
    # If Kafka deletes the offset before we read it, the read fails: a later run reads the lake.
    "auto.offset.reset": "error",
    # A fetch at the end of a partition keeps the next partition waiting for so long.
    "fetch.wait.max.ms": 10,
}


@dataclass(slots=True)
class Copied:
    """What a run did with one topic.

    Attributes
    ----------
    topic
        Of the new namespace.
    messages
        Copied by this run.
    left_out
        Read by this run and not copied: erased, or refused by the workers.
    """

    topic: str
    messages: int = 0
    left_out: int = 0


class _Reader(Worker):
    """Reads the log as a worker does, but ends where a worker waits."""

    def patiently(self, attempt: Callable[[], T], part: str = "") -> T:
        return attempt()


def repartition(
    source: Settings,
    namespace: str,
    partitions: int,
    *,
    leave_dead_letters: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> list[Copied]:
    """Copy what a namespace lacks of the log; return what was done with each topic.

    Parameters
    ----------
    source
        Settings of the deployment whose log is copied.
    namespace, partitions
        The new namespace, and the partitions of its topics: a multiple of those of the source.
    leave_dead_letters
        Whether letters that wait stay behind.
    say
        Called with a line for each partition.

    Raises
    ------
    ConfigurationError
        An argument is wrong, dead letters wait, or the namespace holds other messages.
    BrokerUnavailable, StoreUnavailable
        Kafka, PostgreSQL or the lake does not answer; a later run resumes.
    LogCutOff
        Neither Kafka nor the lake holds the next message.
    """
    target = replace(source, namespace=namespace, partitions=partitions)
    check_names(source, target)
    check_topics(source, target)
    if not leave_dead_letters:
        check_letters(source)
    with without_erasures(source):
        reader = _Reader(source, "repartition")
        try:
            return _copy(reader, target, say)
        finally:
            reader.erasures.close()


def _copy(reader: _Reader, target: Settings, say: Callable[[str], None]) -> list[Copied]:
    source, old, new = reader.settings, reader.topics, Topics(target.namespace)
    configs = new.configs(target.plays_retention_days, flink=bool(target.flink))
    new_logs = ensure_topics(target, configs)
    logs = reader.find_logs()
    topics = [new.of(kind) for kind in (*COPIED, *(OF_FLINK if source.flink else ()))]
    ends = {topic: end_offsets(target, topic) for topic in topics}
    origins = {topic: _origins(target, topic, ends[topic]) for topic in topics}
    check_origins(target, origins, ends, {topic: logs[old.of(topic.kind)] for topic in topics})
    # Erasures name offsets of the topics that have a table in the lake.
    covered = {new_logs[topic]: ends[topic] for topic in topics if topic in new.landed}
    selection = Selection(reader.decoder, covered)
    found = []
    with Copier(target) as copier:
        for topic in topics:
            done = Copied(topic)
            found.append(done)
            # Flink's partitions are no CRC-32 of a listener; the order of suspects does not matter.
            kept = topic.kind in OF_FLINK
            log = _Log(reader, old.of(topic.kind), logs[old.of(topic.kind)])
            for partition, end in enumerate(end_offsets(source, log.topic)):
                before = done.messages
                into = range(partition, target.partitions, source.partitions)
                resumed = {
                    q: origins[topic][q].offset + 1 if q in origins[topic] else 0
                    for q in (into[:1] if kept else into)
                }
                for record in log.records(partition, min(resumed.values()), end):
                    copy = selection.copy(topic.kind, partition, record)
                    if copy is None:
                        done.left_out += 1
                        continue
                    q = partition if kept else partition_of(copy.name, target.partitions)
                    if record.offset >= resumed[q]:
                        origin = Origin(log.log_id, partition, record.offset)
                        copier.send(topic, q, record.key, copy.value, origin)
                        done.messages += 1
                copier.settle()
                say(f"{log.topic}/{partition}: {done.messages - before:,} messages copied")
    return found


def _origins(target: Settings, topic: Topic, ends: list[int]) -> Mapping[int, Origin]:
    """Return the origin of the last copy of each partition that holds one."""
    begins = begin_offsets(target, topic, range(target.partitions))
    heard = Complaints()
    reader = consumer(target, "repartition", {**_READS, "error_cb": heard})
    try:
        found = {
            q: newest_origin(
                lambda start, stop, q=q: read_range(reader, topic, q, start, stop),  # type: ignore[misc]
                begins[q],
                end,
            )
            for q, end in enumerate(ends)
        }
    except KafkaException as error:
        raise heard.explain(target, f"topic {topic}", error) from None
    finally:
        reader.close()
    return {q: origin for q, origin in found.items() if origin is not None}


class _Log:
    """One topic of the source, with the messages that only the lake still holds."""

    def __init__(self, reader: _Reader, topic: Topic, log_id: str) -> None:
        self.topic = topic
        self.log_id = log_id
        self._settings = reader.settings
        self._beginning = Beginning(reader, topic, log_id)

    def records(self, partition: int, start: int, end: int) -> Iterator[Record]:
        """Yield the messages of a partition from an offset to before another one.

        Raises
        ------
        BrokerUnavailable, StoreUnavailable, LogCutOff
            As :func:`repartition`.
        """
        if self.topic.kind in OF_FLINK:  # the lake is no substitute: what Kafka has deleted is over
            begins = begin_offsets(self._settings, self.topic, [partition])
            start = max(start, begins[partition])
        while start < end and (found := self._beginning.next_records({partition: start})):
            yield from (record for record in found[partition] if record.absent is None)
            start = found[partition][-1].offset + 1
        heard = Complaints()
        reader = consumer(self._settings, "repartition", {**_READS, "error_cb": heard})
        try:
            for message in read_range(reader, self.topic, partition, start, end):
                offset = message.offset()
                assert offset is not None
                if offset < end:
                    yield Record(offset, message.value(), message.key())
        except KafkaException as error:
            raise heard.explain(self._settings, f"topic {self.topic}", error) from None
        finally:
            reader.close()
