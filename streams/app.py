"""The Faust application that the listeners and the learner run on, set up for exact folds.

What Faust does here: consume in a group, heartbeat, rebalance, hand over messages. What it does
not: decide what was processed. Its acknowledgements are per message, given in ``finally`` even
when an agent raises, and its commit skips one message that was not acknowledged before one that
was. So streams run without acknowledgements; each fold commits what its own state durably holds
(:func:`commit`). After every rebalance the consumer resumes at the offset of that *state*
(:class:`FoldConsumer`), not at Kafka's committed offset.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, Message
from yarl import URL

from contracts import kafka_client
from contracts.errors import ConfigurationError
from contracts.settings import Settings
from contracts.tracing import context_in
from streams.decode import Record
from streams.fetching import FetchGate

log = logging.getLogger(__name__)

#: Where to resume: takes the assigned partitions, returns the next offset of each.
Positions = Callable[[set[TP]], Awaitable[dict[TP, int]]]

#: A dead member's partitions are free again after this long, seconds.
SESSION_SECONDS = 6.0

#: Shortest time between two fetches that find messages, seconds. A message after a quiet moment is
#: handed over at once; while many come, they come together: broker and worker pay for a fetch and
#: for a batch what they pay for dozens of messages.
FETCH_EVERY = 0.01


class FoldApp(faust.App):
    """A Faust app that knows where its fold stands.

    Attributes
    ----------
    assigned_at
        When the partitions were assigned that are not read yet (the event loop's clock, seconds);
        ``None`` while all that are assigned are read.
    """

    logger = logging.getLogger("faust.app")

    positions: Positions
    gate: FetchGate
    reads_traces: bool
    assigned_at: float | None = None


@dataclass(frozen=True, slots=True)
class MessageRun:
    """Consecutive messages of one partition, passed to a Faust agent as the value of one event."""

    records: list[Record]


class _Thread(AIOKafkaConsumerThread):
    """Faust's consumer thread with fetches of our own timing (:mod:`streams.fetching`).

    Faust asks the broker to hold a fetch for up to 1.5 s, and offers no setting.
    """

    logger = logging.getLogger("faust.consumer")

    def _create_worker_consumer(self, transport: Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = cast(FoldApp, self.app).gate.wait_ms
        return consumer

    async def on_start(self) -> None:
        """Start the consumer, then put the gate before its fetches."""
        await super().on_start()
        cast(FoldApp, self.app).gate.guard(self._ensure_consumer())


class FoldConsumer(Consumer):
    """Resumes at the offsets in the fold's store, and passes whole runs of messages to the agent.

    Faust spends some 75 µs of processor time on every event between socket and agent. Here each
    fetch makes one event per partition, so Faust's flow control, rebalancing and back-pressure
    cost that time once for a run of messages and not once for each message.
    """

    logger = logging.getLogger("faust.consumer")

    _found_at = float("-inf")

    async def getmany(  # the base class names the parameters
        self,
        timeout: float,  # noqa: ASYNC109
    ) -> AsyncIterator[tuple[TP, Message]]:
        """Fetch once and yield one message per partition; its value is a :class:`MessageRun`."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._found_at + FETCH_EVERY - clock()))
        fetched, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if fetched is None or self.should_stop:
            return
        if not self.flow_active:  # fetched while a rebalance began: these will be read again
            with contextlib.suppress(KafkaError, TimeoutError):
                await self.perform_seek()
            return
        if fetched:
            self._found_at = clock()
        for tp, records in fetched.items():
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return
            if records and (active is None or tp in active or tp in self._buffered_partitions):
                message = self._to_message(tp, records[-1])
                found = [Record(r.offset, r.value, r.key) for r in records]
                if cast(FoldApp, self.app).reads_traces:
                    found = [
                        each._replace(trace=context_in(r.headers)) if r.headers else each
                        for each, r in zip(found, records, strict=True)
                    ]
                run: Any = MessageRun(found)
                message.value = run
                yield message.tp, message

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: Faust fills gaps between acknowledged offsets, and folds acknowledge none."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Note the time of the assignment, then let Faust prepare to read."""
        cast(FoldApp, self.app).assigned_at = asyncio.get_running_loop().time()
        await super().on_partitions_assigned(assigned, generation_id)

    def resume_flow(self) -> None:
        """Read on: the last step after an assignment."""
        cast(FoldApp, self.app).assigned_at = None
        super().resume_flow()

    async def perform_seek(self) -> None:
        """Seek to the offsets of the fold's store.

        Faust's own method asks the brokers for the committed offsets. If they do not answer within
        ``broker_request_timeout``, Faust's recovery task mistakes the timeout for the end of its
        service: it ends without an error, and the consumer reads nothing any more.
        """
        assigned = self.assignment()
        wanted = await cast(FoldApp, self.app).positions(assigned)
        await self.seek_wait({tp: wanted[tp] for tp in assigned})

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust would report a stall, because folds acknowledge no message to it."""


class FoldTransport(Transport):
    """Faust's transport for aiokafka, with :class:`FoldConsumer` in place of Faust's consumer."""

    Consumer = FoldConsumer


def make_app(settings: Settings, group: str, positions: Positions) -> FoldApp:
    """Return a Faust app of a consumer group.

    Parameters
    ----------
    group
        Consumer group, which begins with the namespace. It is the client id too.
    positions
        Where to resume after each assignment.
    """
    brokers = [URL(f"kafka://{each}") for each in kafka_client.addresses(settings)]
    app = FoldApp(
        group,
        broker=brokers,
        broker_credentials=_credentials(settings),
        broker_client_id=group,
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        store="memory://",
        datadir=tempfile.gettempdir(),
        key_serializer="raw",
        value_serializer="raw",
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=1.0,
        broker_rebalance_timeout=SESSION_SECONDS,
        broker_request_timeout=20.0,
        broker_max_poll_records=1000,
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_buffer_maxsize=8,  # runs, not messages
        stream_wait_empty=False,
    )
    app.transport = FoldTransport(brokers, app)
    app.positions = positions
    app.gate = FetchGate(held=settings.broker_holds_fetches)
    app.reads_traces = bool(settings.traces_url)
    return app


def _credentials(settings: Settings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """Return how Faust encrypts and logs in, as :func:`kafka_client.connection` does elsewhere."""
    encrypted = None
    if kafka_client.uses_tls(settings):
        file = kafka_client.authority(settings)
        try:
            encrypted = ssl.create_default_context(cafile=file)
        except ssl.SSLError as error:
            raise ConfigurationError(f"SEGUE_KAFKA_CA={file} is not a PEM file: {error}") from None
    if kafka_client.uses_login(settings):
        return faust.SASLCredentials(
            username=settings.kafka_user,
            password=settings.kafka_password,
            mechanism=settings.kafka_mechanism,
            ssl_context=encrypted,
        )
    return faust.SSLCredentials(encrypted) if encrypted else None


async def commit(app: faust.App, offsets: dict[TP, int]) -> bool:
    """Commit to Kafka the offsets that the fold durably holds; return whether Kafka accepted them.

    Only lag monitors read it, so a broker that is away or busy rebalancing is no error.
    """
    thread = cast(FoldConsumer, app.consumer)._thread
    marks = {
        TopicPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "")
        for tp, offset in offsets.items()
    }
    try:
        await thread.call_thread(thread._ensure_consumer().commit, marks)
    except (KafkaError, ConsumerNotStarted) as error:
        log.info("offsets not committed (the next commit includes them): %s", error)
        return False
    return True


async def start(app: faust.App) -> None:
    """Start an app inside the running loop, as ``faust worker`` would."""
    app.loop = asyncio.get_running_loop()
    app.in_worker = True
    app.finalize()
    await app.start()
