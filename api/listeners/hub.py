"""Hands the events that the workers publish to the streams of the listeners they concern.

One subscription serves every stream of the process, and exists only while there is a stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque

import msgspec
from redis.asyncio import Redis

from contracts.listener_events import ListenerEvent, decode, encode
from contracts.redis_client import UNAVAILABLE, subscriber

log = logging.getLogger(__name__)

#: Events that one stream may queue; a slower reader gets a single `changed` event instead.
MOST_WAITING = 100
_PAUSE = 1.0
#: The event that replaces all missed events.
CHANGED = "changed"
#: From this event on a stream misses nothing.
FOLLOWING = "following"


class Stream:
    """The events of one listener for one reader."""

    def __init__(self, user: str) -> None:
        self.user = user
        self._waiting: deque[ListenerEvent] = deque()
        self._arrived = asyncio.Event()
        self.ended = False

    def put(self, event: ListenerEvent) -> None:
        """Add an event; a full queue is replaced by one event that reports missed ones."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            event = ListenerEvent(user=self.user, kind=CHANGED, at=0)
        self._waiting.append(event)
        self._arrived.set()

    def end(self) -> None:
        """End the stream: the process stops."""
        self.ended = True
        self._arrived.set()

    async def next(self, seconds: float) -> ListenerEvent | None:
        """Return the next event; ``None`` after so many seconds without one, or at the end."""
        if not self._waiting and not self.ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
        self._arrived.clear()
        return self._waiting.popleft() if self._waiting else None


class EventHub:
    """Subscribes to the Redis channel of events while at least one stream is open.

    Redis stores no event: an event that a worker publishes before Redis has confirmed the
    subscription is lost. After each confirmation, the first and those after a lost connection, the
    hub sends every stream the event :data:`FOLLOWING`. Its reader then compares the version of the
    listener's plays that it has with the current one.

    Parameters
    ----------
    url
        Address of Redis; a subscription needs a connection without a time limit.
    channel
        :attr:`contracts.features.Keys.events`.
    """

    def __init__(self, url: str, channel: str) -> None:
        self._url = url
        self._channel = channel
        self._streams: dict[str, set[Stream]] = {}
        self._task: asyncio.Task[None] | None = None
        self._confirmed = False
        self.stopping = False

    @property
    def count(self) -> int:
        """Streams that are open."""
        return sum(map(len, self._streams.values()))

    def open(self, user: str) -> Stream:
        """Return a new stream of a listener; give it back with :meth:`close`."""
        stream = Stream(user)
        stream.ended = self.stopping
        if self._confirmed:
            stream.put(_following(user))
        self._streams.setdefault(user, set()).add(stream)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._subscribe())
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream; without any, the subscription ends."""
        of_user = self._streams.get(stream.user, set())
        of_user.discard(stream)
        if not of_user:
            self._streams.pop(stream.user, None)
        if not self._streams and self._task is not None:
            self._task.cancel()
            self._task, self._confirmed = None, False

    def end(self) -> None:
        """End every stream, so that the server need not wait for their readers."""
        self.stopping = True
        for streams in self._streams.values():
            for stream in streams:
                stream.end()

    def deliver(self, events: list[ListenerEvent]) -> None:
        """Hand events to those who read them."""
        for event in events:
            for stream in self._streams.get(event.user, ()):
                stream.put(event)

    async def _subscribe(self) -> None:
        lost = False
        while True:
            client = subscriber(self._url, socket_connect_timeout=1.0)
            try:
                async with client.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    async for message in subscription.listen():
                        if message["type"] == "message":
                            self._take(message["data"])
                        elif message["type"] == "subscribe":
                            lost, self._confirmed = False, True
                            self.deliver([_following(user) for user in self._streams])
            except UNAVAILABLE as error:
                if not lost:
                    log.warning("events: %s", type(error).__name__)
                lost, self._confirmed = True, False
            finally:
                await client.aclose()
            await asyncio.sleep(_PAUSE)

    def _take(self, data: bytes) -> None:
        try:
            self.deliver(decode(data))
        except msgspec.MsgspecError:
            log.warning("events: ignored a message on %s that is not an event", self._channel)


def _following(user: str) -> ListenerEvent:
    return ListenerEvent(user=user, kind=FOLLOWING, at=0)


async def publish(redis: Redis, channel: str, event: ListenerEvent) -> None:
    """Publish one event of this process's own; what is not published is only not live."""
    with contextlib.suppress(*UNAVAILABLE):
        await redis.publish(channel, encode([event]))
