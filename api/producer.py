"""The way into the play log: a 2xx is sent only after the broker acknowledged everything."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Message

from api.polled import DELIVERY_MS, PolledProducer
from api.traced import current
from contracts.deliveries import failure
from contracts.errors import BrokerUnavailable
from contracts.settings import Settings
from contracts.tracing import HEADER, Context

log = logging.getLogger(__name__)

TICK_SECONDS = 0.001
#: Bytes that may wait for the broker; beyond that callers are refused at once.
MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024
#: Largest message value; below the broker's default limit of 1 MiB with room for headers.
MAX_MESSAGE_BYTES = 900_000
LINGER_MS = 1.0
#: Shortest time (seconds) between two hand-overs to the library. A message after a quiet moment
#: goes at once; those that follow within this time go together. The broker, and every worker that
#: follows, pays for a batch about what it pays for a message (docs/performance.md).
GATHER_SECONDS = 0.004


class LogRecord(NamedTuple):
    """One message to be appended; ``partition`` -1 lets the key decide."""

    topic: str
    key: bytes
    value: bytes
    partition: int = -1


class Waiting(Protocol):
    """Receives the result of a delivery: a future, or an object with the same interface."""

    def done(self) -> bool:
        """Whether nobody waits any more."""
        ...

    def set_result(self, result: None, /) -> None:
        """Everything is acknowledged."""
        ...

    def set_exception(self, exception: BaseException, /) -> None:
        """Not everything is (:class:`contracts.errors.BrokerUnavailable`)."""
        ...


class _Batch:
    """Counts the delivery reports of one request."""

    __slots__ = (
        "bytes", "error", "failed", "future", "message", "owner", "remaining", "since", "trace",
    )  # fmt: skip

    def __init__(
        self,
        owner: PlayLog,
        remaining: int,
        size: int,
        future: Waiting | None,
        trace: Context | None,
    ) -> None:
        self.owner = owner
        self.remaining = remaining
        self.bytes = size
        self.future = future
        self.error: KafkaError | None = None
        self.failed = False
        self.since = time.monotonic()
        self.message: Message | None = None
        self.trace = trace

    def settle(self, error: KafkaError | None, message: Message) -> None:
        error = failure(error, message)
        self.message = message
        self.owner.failing = error is not None
        if error is not None:
            self.error = error
            self.failed = True
            self.owner.failed += 1
        self.drop(1)

    def refuse(self, count: int, error: Exception) -> None:
        """Fail the request at once: the library refused its last ``count`` messages."""
        future, self.future = self.future, None
        self.failed = True
        self.drop(count)
        if future is not None and not future.done():
            future.set_exception(BrokerUnavailable(f"the broker's queue is closed: {error}"))

    def abandon(self) -> None:
        """Give up the reports that have not come; late ones change nothing."""
        self.failed = True
        self.drop(self.remaining)

    def drop(self, count: int) -> None:
        if self.remaining <= 0:
            return
        self.remaining -= count
        if self.remaining > 0:
            return
        self.owner.settled(self)
        if self.future is None or self.future.done():
            return
        if not self.failed:
            self.future.set_result(None)
        else:
            why = "the producer was renewed" if self.error is None else self.error.str()
            self.future.set_exception(BrokerUnavailable(f"not acknowledged: {why}"))


def _nothing(*_: object) -> None:
    """Do nothing."""


class PlayLog(PolledProducer):
    """Appends messages to Kafka from the event loop it is used on.

    Attributes
    ----------
    in_flight_bytes
        Of values that are not acknowledged yet.
    refused
        Requests refused because too much was waiting.
    handovers
        How often messages were handed to the library; what goes in one goes in one batch a
        partition.
    """

    def __init__(self, settings: Settings, *, delivery_ms: int = DELIVERY_MS) -> None:
        super().__init__(
            settings,
            "plays",
            tick_seconds=TICK_SECONDS,
            delivery_ms=delivery_ms,
            own={
                "linger.ms": LINGER_MS,
                "queue.buffering.max.kbytes": 2 * MAX_IN_FLIGHT_BYTES // 1024,
            },
        )
        self._complaint, self._complained_at = "", 0.0
        self._live: set[_Batch] = set()
        #: Called after each acknowledged request.
        self.on_acked: Callable[[], None] = _nothing
        #: Called then too, with the time of the request (monotonic) and its last message.
        self.on_placed: Callable[[float, Message], None] = _nothing
        #: Called then too if the request is traced, with its span and its last message.
        self.on_traced: Callable[[Context, Message], None] = _nothing
        #: Called for each request, acknowledged or not, with its seconds and whether it failed.
        self.on_settled: Callable[[float, bool], None] = _nothing
        self._gathered: list[tuple[Sequence[LogRecord], _Batch]] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._handed_over = float("-inf")
        self.handovers = 0
        self.in_flight_bytes = 0
        self.refused = 0

    async def append(self, records: Sequence[LogRecord]) -> None:
        """Append messages; return once the broker has acknowledged all of them.

        Raises
        ------
        BrokerUnavailable
            Not all were acknowledged in time, or too much is waiting already. Some may be in the
            log nevertheless: sending them again is harmless, since plays are known by their ids.
        """
        if not records:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.submit(records, future, current())
        await future

    def metadata(self, timeout: float) -> Any:
        """Ask the broker for its topics; blocks, so call it from a thread.

        Raises
        ------
        BrokerUnavailable
            The broker does not answer.
        """
        try:
            return self._producer.list_topics(timeout=timeout)
        except KafkaException as error:
            raise BrokerUnavailable(str(error.args[0].str())) from None

    def submit(
        self,
        records: Sequence[LogRecord],
        future: Waiting | None,
        trace: Context | None = None,
    ) -> None:
        """Append messages and return at once; ``future`` receives the result of their delivery.

        Messages of requests that come together are sent together; their order stays.

        Parameters
        ----------
        trace
            Span of the request, if it is traced: a header of each message names it.

        Raises
        ------
        BrokerUnavailable
            Too much is queued already; ``future`` receives nothing.
        """
        if self._fatal:
            self._renew()
        size = sum(len(record.value) for record in records)
        if self.in_flight_bytes + size > MAX_IN_FLIGHT_BYTES:
            self.refused += 1
            raise BrokerUnavailable("too many messages wait for Kafka to acknowledge them")
        batch = _Batch(self, len(records), size, future, trace)
        self.in_flight_bytes += size
        self._live.add(batch)
        self._gathered.append((records, batch))
        if self._gathering is None:
            loop = asyncio.get_running_loop()
            due = self._handed_over + GATHER_SECONDS
            if loop.time() >= due:
                self._hand_over()
            else:
                self._gathering = loop.call_at(due, self._hand_over)

    def _hand_over(self) -> None:
        """Give the library what has gathered."""
        self._gathering = None
        self._handed_over = asyncio.get_running_loop().time()
        gathered, self._gathered = self._gathered, []
        self.handovers += 1
        for records, batch in gathered:
            try:
                self._produce(records, batch)
            except Exception:  # one failing future must not delay the others
                log.exception("could not report to a request that Kafka refused its messages")
        self._poll_soon()

    def _produce(self, records: Sequence[LogRecord], batch: _Batch) -> None:
        produce = self._producer.produce
        if batch.trace is not None:
            produce = partial(produce, headers=[(HEADER, bytes(batch.trace))])
        done = 0
        try:
            for topic, key, value, partition in records:
                produce(topic, value, key, partition, batch.settle)
                done += 1
        except (BufferError, KafkaException) as error:
            self.refused += 1
            batch.refuse(len(records) - done, error)

    async def close(self, seconds: float = 8.0) -> int:
        """Hand over gathered messages, then wait for those in flight; see the base class."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._hand_over()
        return await super().close(seconds)

    def settled(self, batch: _Batch) -> None:
        """Take note that a batch has all its delivery reports (called by the batch)."""
        self._live.discard(batch)
        self.in_flight_bytes -= batch.bytes
        self.on_settled(time.monotonic() - batch.since, batch.failed)
        if not batch.failed:
            self.on_acked()
            if batch.message is not None:
                self.on_placed(batch.since, batch.message)
                if batch.trace is not None:
                    self.on_traced(batch.trace, batch.message)
        else:
            if batch.error is not None and batch.error.fatal():
                self._fatal = True

    def _on_error(self, error: KafkaError) -> None:
        super()._on_error(error)
        # librdkafka reports an unreachable broker hundreds of times a second.
        now = time.monotonic()
        if error.str() != self._complaint or now - self._complained_at > 10:
            self._complaint, self._complained_at = error.str(), now
            log.warning("kafka: %s", error.str())

    def _abandon(self) -> None:
        self._gathered.clear()
        for batch in list(self._live):
            batch.abandon()
