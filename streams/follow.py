"""Runs a fold on a Faust app: positions in, batches through, offsets out.

How :class:`FaustFollower` ends, by reason:

========================  ==========================  ===========================================
reason                    what `run` raises           before it does
========================  ==========================  ===========================================
SIGTERM, SIGINT           nothing (or `Stopped`,      the batch in flight ends (3 s at most), the
                          before it has begun)        loops end, the fold is closed (10 s), its
                                                      offsets are committed (2 s), the group is
                                                      left (5 s)
a loop raised             what it raised              the same
Faust crashed, or reads   `BrokerUnavailable`         the same
nothing after a rebalance
========================  ==========================  ===========================================

Each wait is bounded. A cancellation is not relied upon: on Python 3.11 `asyncio.wait_for`, which
redis-py awaits, can swallow it. The loops look at the stop flag themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

import uvloop
from faust.types import TP
from tenacity import AsyncRetrying, retry_if_exception_type

from contracts.errors import BrokerUnavailable, StoreUnavailable
from contracts.features import Keys
from contracts.retries import error_of
from contracts.topics import Topic
from streams.app import commit, make_app, start
from streams.beginning import Beginning
from streams.buffer import Buffer
from streams.decode import Record
from streams.errors import PositionLost
from streams.fetching import listen
from streams.log_watch import LogWatch
from streams.steps import BEFORE_COMMIT, BEFORE_WRITE, WRITTEN, reach
from streams.worker import PAUSES, Stopped, Worker

log = logging.getLogger(__name__)
T = TypeVar("T")
_TICK = 1.0
#: How often an idle worker asks whether the log is still the same one, seconds.
_CHECK = 10.0
_BATCH_SECONDS, _CLOSE_SECONDS, _COMMIT_SECONDS, _STOP_SECONDS = 3.0, 10.0, 2.0, 5.0
_CANCEL_SECONDS, _CANCELS = 1.0, 2
#: Longest time the store gets to say where to resume, seconds (Faust's own limit is 20).
_POSITIONS_SECONDS = 5.0
#: Longest time from an assignment until Faust reads, seconds. It needs less than one, and its own
#: requests to the brokers end after 20.
_RESUME_SECONDS = 45.0
#: Messages of the lake that are applied at once: between two runs the worker can stop.
_RUN = 1000


class Fold(Protocol):
    """A state that folds topics and knows where it stands."""

    #: Topics it folds.
    topics: list[Topic]

    async def positions(self) -> dict[TP, int]:
        """Return the next offset of every partition; raises StoreUnavailable."""
        ...

    async def apply(self, tp: TP, start: int, records: list[Record]) -> None:
        """Apply a run of messages that continues at ``start``.

        Raises
        ------
        StoreUnavailable
            The store does not answer. The caller may call again later with the same messages: none
            is lost and none is counted twice.
        BrokerUnavailable
            The broker did not acknowledge a dead letter: the worker must exit.
        PositionLost
            The offset in the store is not ``start``: the worker must exit and be started again.
        """
        ...

    def durable(self) -> dict[TP, int]:
        """Return the next offset of every partition that a restart would read if killed now.

        The worker commits these offsets to Kafka, for tools that monitor the lag.
        """
        ...

    async def tick(self) -> None:
        """Called about once a second, between batches."""
        ...

    async def close(self) -> None:
        """Write all state durably; no other method is called after this one."""
        ...


class FaustFollower:
    """Follows a fold's topics in a consumer group until the worker has to stop."""

    def __init__(self, worker: Worker, fold: Fold, group: str, log_ids: dict[str, str]) -> None:
        self.worker = worker
        self.fold = fold
        self._traces = worker.traces
        self.buffer = Buffer()
        self.watch = LogWatch(worker.settings, {t: log_ids[t] for t in fold.topics})
        self.beginnings = [Beginning(worker, t, log_ids[t]) for t in fold.topics]
        self._stop = asyncio.Event()
        self._applying = self._applied = False
        self._checked = 0.0
        self._starting: asyncio.Task[None] | None = None
        self._known: dict[TP, int] = {}
        self._committed: dict[TP, int] = {}
        # Made once: making it costs a third of a call, and each run of messages is a call.
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=PAUSES,
            sleep=self._rest,
            before_sleep=lambda state: worker.status.waits("store", str(error_of(state))),
        )
        self.app = make_app(worker.settings, group, self._positions)
        for topic in fold.topics:
            agent = self.app.agent(self.app.topic(topic), name=f"{group}.{topic.kind}")
            agent(self.buffer.fill)

    async def run(self) -> None:
        """Follow until SIGTERM.

        Raises
        ------
        SegueError
            As :mod:`streams.errors` and :class:`Fold` say; the process must end.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        if self.worker.stopping.is_set():  # a signal came while the fold was made
            raise Stopped
        self._known = await self._patiently(self.fold.positions)
        work = (
            self._stop.wait(),
            self._crashed(),
            self._follow_log(),
            self._tick(),
            self._listen(),
        )
        tasks: set[asyncio.Task[Any]] = {asyncio.ensure_future(w) for w in work}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not self._stop.is_set():
                for task in done:
                    task.result()
        finally:
            self._stop.set()
            self.worker.status.set_state("stopping")
            self.worker.status.rests("loop")
            await self._finish(tasks)
            await self._leave()

    async def _follow_log(self) -> None:
        """Apply what Kafka has deleted, then join the group and follow Kafka."""
        for topic, beginning in zip(self.fold.topics, self.beginnings, strict=True):
            await self._catch_up(topic, beginning)
        if not self._stop.is_set():
            self._starting = asyncio.create_task(start(self.app))
            self._starting.add_done_callback(self._started)
            await self._apply()

    async def _catch_up(self, topic: Topic, beginning: Beginning) -> None:
        """Apply what Kafka has deleted and the fold lacks, of all partitions.

        Each round asks the fold: another process of this worker may apply the same messages.
        """
        while not self._stop.is_set():
            self._known = await self._patiently(self.fold.positions)
            places = {tp.partition: at for tp, at in self._known.items() if tp.topic == topic}
            found = await asyncio.to_thread(beginning.next_records, places)
            if not found:
                return
            for partition, records in found.items():
                for begin in range(0, len(records), _RUN):
                    taken = {TP(topic, partition): records[begin : begin + _RUN]}
                    await self._apply_all(taken, gaps=True)

    def _told_to_stop(self) -> None:
        self.worker.stop()
        self._stop.set()

    async def _stops_within(self, seconds: float) -> bool:
        """Wait; return whether the worker is to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        return self._stop.is_set()

    async def _positions(self, assigned: set[TP]) -> dict[TP, int]:
        """Return where to resume: the fold's offsets, or those of its store's last answer.

        An earlier offset does no harm: the fold skips what it has applied. A store that takes
        longer than Faust waits may answer later; the client's own timeouts end that question.
        """
        asking = asyncio.ensure_future(self.fold.positions())
        # asyncio logs an error that nobody has looked at.
        asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        answered, _ = await asyncio.wait({asking}, timeout=_POSITIONS_SECONDS)
        if answered:
            with contextlib.suppress(StoreUnavailable):
                self._known.update(asking.result())
        positions = {tp: self._known.get(tp, 0) for tp in assigned}
        self.buffer.seek(positions)
        plays = self.worker.topics.plays
        self.worker.status.partitions = sorted(
            tp.partition for tp in positions if tp.topic == plays
        )
        self.worker.status.set_state("running")
        where = ", ".join(f"{tp.topic}/{tp.partition}@{o}" for tp, o in sorted(positions.items()))
        log.info("assigned %s", where or "nothing")
        return positions

    async def _apply(self) -> None:
        while not self._stop.is_set():
            await self._apply_all(await self.buffer.take())

    async def _apply_all(self, taken: dict[TP, list[Record]], *, gaps: bool = False) -> None:
        """Apply runs of messages; ``gaps``: offsets may be missing, as in the lake."""
        self._applying = True
        try:
            for tp, records in taken.items():
                if not self._stop.is_set():
                    self.worker.status.turns("store")
                    await self._apply_run(tp, records, gaps=gaps)
        finally:
            self._applying = False
            self.worker.status.rests("store")

    async def _apply_run(self, tp: TP, records: list[Record], *, gaps: bool = False) -> None:
        start = self._known.get(tp, 0)
        if records[0].offset < start:  # a batch was in flight while reading was set back
            records = [record for record in records if record.offset >= start]
        elif records[0].offset > start and not gaps:
            # These messages were taken before a rebalance, for which the store, set back by a
            # failover, gave a lower offset: those in between would never be applied.
            raise PositionLost(f"{tp}: the store has offset {start}, not {records[0].offset}")
        if records:
            reach(BEFORE_WRITE)
            span = None
            if self._traces is not None:
                contexts = [record.trace for record in records if record.trace is not None]
                last = {tp.partition: records[-1].offset}
                span = self._traces.fold(tp.topic, contexts, len(records), last)
            await self._patiently(lambda: self.fold.apply(tp, start, records))
            if span is not None:
                span.end()
            reach(WRITTEN)
            self._known[tp] = records[-1].offset + 1
            self._applied = True

    async def _tick(self) -> None:
        while not await self._stops_within(_TICK):
            self.worker.status.turns("loop")
            self._check_reading()
            if self._applied or time.monotonic() - self._checked >= _CHECK:
                await self._check_log()
                self._applied, self._checked = False, time.monotonic()
            await self.fold.tick()
            await self._commit()

    def _check_reading(self) -> None:
        """End the worker if Faust does not read what it was assigned.

        Faust's tasks can end without an error. Then the process stays in the consumer group, nobody
        reads its partitions, and only a new process will.
        """
        since = self.app.assigned_at
        if since is not None and asyncio.get_running_loop().time() - since > _RESUME_SECONDS:
            raise BrokerUnavailable(
                f"Faust has read nothing for {_RESUME_SECONDS:g} s after a rebalance"
            )

    async def _listen(self) -> None:
        settings = self.worker.settings
        if self.app.gate.held:
            await self._stop.wait()
            return
        channel = Keys(settings.namespace, settings.partitions).posted
        await listen(settings.redis_url, channel, self.app.gate.wake)

    async def _check_log(self) -> None:
        try:
            await asyncio.to_thread(self.watch.check)
        except BrokerUnavailable as error:
            self.worker.status.waits("broker", str(error))
        else:
            self.worker.status.goes_on("broker")

    async def _commit(self) -> None:
        durable = self.fold.durable()
        fresh = {
            tp: offset
            for tp, offset in durable.items()
            if offset > self._committed.get(tp, 0) and tp in self.buffer.next
        }
        if fresh:
            reach(BEFORE_COMMIT)
            if await commit(self.app, fresh):
                self._committed.update(fresh)

    def _started(self, starting: asyncio.Task[None]) -> None:
        """Make a crash of a start that failed: nobody waits for its result."""
        if not starting.cancelled() and (error := starting.exception()) is not None:
            self.app._crash(error)

    async def _crashed(self) -> None:
        await self.app._crashed.wait()
        raise BrokerUnavailable(f"Faust stopped: {self.app.crash_reason!r}")

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call until it works, with growing pauses while the store is down."""

        async def once() -> T:  # tenacity awaits functions that are declared so, and no lambda
            return await attempt()

        result: T = await self._retrying(once)
        self.worker.status.goes_on("store")
        return result

    async def _rest(self, seconds: float) -> None:
        if await self._stops_within(seconds):
            raise Stopped

    async def _finish(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Let the batch in flight end, then end the loops."""
        for _ in range(int(_BATCH_SECONDS / 0.02)):
            if not self._applying:
                break
            await asyncio.sleep(0.02)
        for _ in range(_CANCELS):
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)
            if not tasks:
                return
        log.warning(
            "stopping; these tasks ignored their cancellation: %s", ", ".join(map(_name, tasks))
        )

    async def _leave(self) -> None:
        """Make the fold durable, commit, and leave the group; never hang on a dead store."""
        await _at_most(_CLOSE_SECONDS, self.fold.close())
        if self._starting is None:
            return
        if not self._starting.done():
            self._starting.cancel()
        else:
            await _at_most(_COMMIT_SECONDS, self._commit())
        await _at_most(_STOP_SECONDS, self.app.stop())


def _name(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())


async def _at_most(seconds: float, work: Coroutine[Any, Any, None]) -> None:
    """Wait for some work, but no longer; Faust catches the cancellation a timeout would send."""
    task = asyncio.create_task(work)
    _, late = await asyncio.wait({task}, timeout=seconds)
    if late:
        log.warning("stopping; %s did not end within %g s", _name(task), seconds)
    if task.done() and not task.cancelled() and (error := task.exception()) is not None:
        log.warning("error while stopping: %r", error)


def follow(worker: Worker, make: Callable[[], Fold], group: str, log_ids: dict[str, str]) -> None:
    """Run :class:`FaustFollower` in an event loop of its own."""

    async def main() -> None:
        follower = FaustFollower(worker, make(), group, log_ids)
        await follower.run()

    logging.getLogger("faust").setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    logging.getLogger("mode").setLevel(logging.WARNING)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main())
    finally:
        # No `asyncio.Runner`: it waits for every task it cancels, and Faust's wait for the broker.
        asyncio.set_event_loop(None)
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        if not rest or not loop.run_until_complete(asyncio.wait(rest, timeout=_CANCEL_SECONDS))[1]:
            loop.close()
