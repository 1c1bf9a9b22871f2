"""The loop of the sinks: a plain consumer that resumes at the offset in the store itself.

It joins no consumer group; :mod:`streams.shared` does. The store's own transaction holds the offset
beside the rows, so after a crash at any point the two agree, and the log is read from there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from contracts import kafka_client
from contracts.topics import Kind, Topic
from contracts.tracing import Context, context_in
from streams.beginning import Beginning
from streams.dead_letters import DeadLetters
from streams.decode import ROWS, Batch, Record
from streams.errors import LogChanged, PositionLost
from streams.log_watch import LogWatch
from streams.steps import BEFORE_WRITE, WRITTEN, reach
from streams.worker import Stopped, Worker

if TYPE_CHECKING:
    from contracts.trace_export import Span

log = logging.getLogger(__name__)
T = TypeVar("T")

# Seconds that one call waits for messages: for a whole batch of them while some wait for a flush,
# else for the first one. Each return wakes the worker, so an idle one waits longer.
_POLL, _IDLE_POLL = 0.2, 1.0
# A flush is also due when so many bytes wait, and one call reads at most so many messages: if the
# store is unreachable, a flood of large messages must wait in Kafka, not in the worker's memory.
_MESSAGES, _MOST_BYTES = 250, 16 * 1024 * 1024
# Messages that wait for a flush are fetched less than ten times a second: each fetch costs the
# embedded broker 0.4 ms of processor time. Shortest and longest, milliseconds.
_FETCH_MS = (200, 2000)
# While plays come one by one the broker holds a fetch until this many bytes wait or that time has
# passed: else every batch of the producer is a fetch of every sink (segue bench broker: 255 us a
# batch without this setting, 105 us with it).
_FETCH_BYTES = 256 * 1024
# Feedback is rare: the broker answers a fetch with the first message, and without one it holds the
# fetch for so many milliseconds.
_RARE_MS = 5_000
# Before each flush too: this finds a new log while nothing arrives.
_WATCH_EVERY = 5.0
_LOST = {
    KafkaError._AUTO_OFFSET_RESET,
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
}


class Sink(Protocol[T]):
    """A store that keeps its own place in the log."""

    def positions(self) -> dict[int, int]:
        """Return ``partition -> next offset``; raises StoreUnavailable."""
        ...

    def write(self, batches: list[Batch[T]]) -> int:
        """Write batches and their last offsets in one transaction; return the rows written.

        Raises
        ------
        StoreUnavailable
            Nothing was written, or that is unknown; writing again is safe.
        PositionLost
            The store's offset is not the one that this process expected.
        """
        ...


class Part(Protocol):
    """A part of a worker that runs in a thread of its own."""

    def run(self) -> None:
        """Run until the worker has to stop."""
        ...


class Follower(Generic[T]):
    """Follows one topic into one sink.

    Parameters
    ----------
    topic
        ``plays``, ``feedback`` or ``impressions``.
    seconds, rows
        A flush happens when the oldest message waits this long, or so many rows wait.
    """

    def __init__(
        self,
        worker: Worker,
        topic: Topic,
        log_id: str,
        sink: Sink[T],
        *,
        seconds: float,
        rows: int,
    ) -> None:
        self.worker = worker
        self.topic = topic
        self.sink = sink
        self.seconds = seconds
        self.rows = rows
        self._decode: Callable[..., Batch[T]] = worker.decoder.of(topic.kind)
        self._rows_of = ROWS[topic.kind]
        self.letters = DeadLetters(worker.settings, worker.name)
        self.watch = LogWatch(worker.settings, {topic: log_id})
        self.beginning = Beginning(worker, topic, log_id)
        self.positions: dict[int, int] = {}
        self._next: dict[int, int] = {}
        self._pending: dict[int, Batch[T]] = {}
        self._waiting_rows = self._waiting_bytes = 0
        self._traces = worker.traces
        self._waiting_traces: list[Context] = []
        self._since = 0.0
        self._watched = 0.0
        self._closing = False

    def run(self) -> None:
        """Follow until the worker has to stop; then flush what was read.

        Raises
        ------
        LogChanged, PositionLost
            To be started again: the log is another, a message is missing, or the store moved.
        LogCutOff
            Neither Kafka nor the lake holds the next message.
        BrokerUnavailable
            A message is unusable and its dead letter cannot be written.
        """
        worker = self.worker
        consumer = kafka_client.consumer(
            worker.settings,
            self._group(),
            {
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                **_fetch_settings(self.topic, self.seconds),
                "queued.max.messages.kbytes": 32_768,
                "error_cb": lambda error: log.warning("Kafka: %s", error),
                **self._own_settings(),
            },
        )
        try:
            self._begin(consumer)
            worker.status.set_state("running")
            while not worker.stopping.is_set():
                worker.status.turns(self.topic)
                wanted = (_MESSAGES, _POLL) if self._pending else (1, _IDLE_POLL)
                self._accept(consumer.consume(*wanted))
                now = time.monotonic()
                if self._pending and (self._is_full() or now - self._since >= self.seconds):
                    self.flush()
                elif now - self._watched >= _WATCH_EVERY:
                    self._check_log()
            self.flush()
        except Stopped:
            log.info("stopped early; the next start resumes at the store's offsets")
        finally:
            worker.status.rests(self.topic)
            self._closing = True
            consumer.close()

    def _group(self) -> str:
        """Return the name of the consumer group, without the namespace."""
        return self.worker.name

    def _own_settings(self) -> dict[str, Any]:
        """Return further settings of the consumer."""
        return {}

    def _begin(self, consumer: Consumer) -> None:
        """Read every partition from the store's offset."""
        self._catch_up()
        self._next = dict(self.positions)
        consumer.assign([TopicPartition(self.topic, p, o) for p, o in self._next.items()])
        self._report()

    def _catch_up(self) -> None:
        """Apply what Kafka has deleted and the store lacks.

        Each round asks the store: another process of this sink may apply the same messages.
        """
        while True:
            self.positions = self.worker.patiently(self.sink.positions, self.topic)
            found = self.beginning.next_records(self.positions)
            if not found:
                return
            for partition, records in found.items():
                for start in range(0, len(records), _MESSAGES):
                    if self.worker.stopping.is_set():
                        raise Stopped
                    self.worker.status.turns(self.topic)
                    self._take(partition, records[start : start + _MESSAGES])
                    if self._is_full():
                        self.flush()
            self.flush()

    def _is_full(self) -> bool:
        return self._waiting_rows >= self.rows or self._waiting_bytes >= _MOST_BYTES

    def _accept(self, messages: list[Message]) -> None:
        by_partition: dict[int, list[Record]] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self._on_error(error)
                continue
            offset, partition = message.offset(), message.partition()
            assert offset is not None
            assert partition is not None
            record = Record(offset, _bytes(message.value()), _bytes(message.key()))
            if self._traces is not None and (headers := message.headers()):
                record = record._replace(trace=context_in(headers))
            by_partition.setdefault(partition, []).append(record)
        if by_partition and not self._pending:
            self._since = time.monotonic()
        for partition, records in by_partition.items():
            self._check_whole(partition, records)
            self._take(partition, records)

    def _take(self, partition: int, records: list[Record]) -> None:
        """Decode messages and keep them for the next flush."""
        batch = self._decode(records, partition=partition, start=self.positions[partition])
        self._waiting_rows += sum(self._rows_of(message) for _, message in batch.messages)
        self._waiting_bytes += sum(len(record.value or b"") for record in records)
        if self._traces is not None:
            self._waiting_traces += [each.trace for each in records if each.trace is not None]
        held = self._pending.get(partition)
        if held is None:
            self._pending[partition] = batch
        else:
            held.messages += batch.messages
            held.rejected += batch.rejected
            held.last = batch.last
            held.lost_to = max(held.lost_to, batch.lost_to)

    def _check_whole(self, partition: int, records: list[Record]) -> None:
        expected, last = self._next[partition], records[-1].offset
        if records[0].offset != expected or last - expected + 1 != len(records):
            raise PositionLost(
                f"{self.topic} {partition}: expected offset {expected}, got {len(records)} "
                f"messages from {records[0].offset} to {last}"
            )
        self._next[partition] = last + 1

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _LOST:
            raise LogChanged(f"{self.topic}: {error}")
        if error.code() != KafkaError._PARTITION_EOF:
            log.warning("Kafka: %s", error)

    def _check_log(self) -> None:
        self.worker.patiently(self.watch.check, self.topic)
        self._watched = time.monotonic()

    def flush(self) -> None:
        """Write what waits: dead letters first, then rows and offsets in one transaction."""
        if not self._pending:
            return
        # Messages are ours only if the log is still the one their offsets belong to.
        self._check_log()
        batches = list(self._pending.values())
        refused = 0
        for batch in batches:
            refused += self.letters.send(self.topic, batch.partition, batch.rejected)
            batch.rejected = []
        reach(BEFORE_WRITE)
        span = self._span_of(batches)
        written = self.worker.patiently(lambda: self.sink.write(batches), self.topic)
        if span is not None:
            span.end()
        reach(WRITTEN)
        self.positions.update({batch.partition: batch.last + 1 for batch in batches})
        self.worker.status.add(rows=written, dead_letters=refused, flushes=1)
        self._drop_pending()
        self._report()

    def _span_of(self, batches: list[Batch[T]]) -> Span | None:
        if self._traces is None:
            return None
        messages = sum(batch.last - batch.first + 1 for batch in batches)
        last = {batch.partition: batch.last for batch in batches}
        return self._traces.fold(self.topic, self._waiting_traces, messages, last)

    def _drop_pending(self) -> None:
        self._pending, self._waiting_rows, self._waiting_bytes = {}, 0, 0
        self._waiting_traces = []

    def _report(self) -> None:
        self.worker.status.offsets.update(
            {self.topic.place(p): offset for p, offset in self.positions.items()}
        )


def follow_together(worker: Worker, followers: Sequence[Part]) -> None:
    """Run followers and other parts of a worker, each in a thread, until the worker has to stop.

    Should one of them have to end, the others flush and end too, and the worker starts again as a
    whole. Raises as :meth:`Follower.run`.
    """
    with ThreadPoolExecutor(len(followers), "follower") as pool:
        running = [pool.submit(each.run) for each in followers]
        wait(running, return_when=FIRST_EXCEPTION)
        worker.stop()
    errors = [error for each in running if (error := each.exception()) is not None]
    if errors:  # who had to stop for another one's sake is not the reason
        raise min(errors, key=lambda error: isinstance(error, Stopped))


def _fetch_settings(topic: Topic, seconds: float) -> dict[str, int]:
    """Return how long the broker holds a fetch, and for how many bytes."""
    if topic.kind is Kind.FEEDBACK:
        return {"fetch.wait.max.ms": _RARE_MS, "fetch.min.bytes": 1}
    shortest, longest = _FETCH_MS
    held = int(min(max(1000 * seconds, shortest), longest))
    return {"fetch.wait.max.ms": held, "fetch.min.bytes": _FETCH_BYTES}


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
