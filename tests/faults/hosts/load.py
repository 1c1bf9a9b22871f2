"""Clients that post plays and ask for lists, and try the next API if one fails."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import numpy as np

from infra.operations.interactions import InteractionLog
from infra.operations.replay.post import Posted

#: Plays in one request.
_TOGETHER = 10
_PATIENCE = httpx.Timeout(6.0, connect=2.0)
#: How often a client asks each API for a list before it gives up. On a busy machine several APIs in
#: turn may take longer than a request waits.
_ROUNDS = 2
#: Pools of connections for plays. httpx looks at every connection of a pool for every request: with
#: hundreds that wait in one pool it kept this event loop busy for seconds, lists included.
_POOLS = 16
#: Seconds between two looks at how late the event loop is.
_TICK = 0.1


@dataclass(slots=True)
class Figures:
    """What clients saw in one phase.

    Attributes
    ----------
    plays
        Accepted (202).
    refused
        Requests with plays that an API did not accept; the client sent them again.
    slowest
        Longest time from a play's first request until it was accepted, seconds.
    lists
        Requests for lists.
    slowest_list
        Longest time until a list was there, seconds; other APIs that were asked before included.
    degraded
        Lists with ``"degraded": true``.
    retried
        Lists that a later request than the first gave, mostly to another API.
    failed
        Lists that no API gave, though each was asked twice.
    late
        Longest time by which the client's own event loop was late, seconds: it is part of the
        other times.
    """

    plays: int = 0
    refused: int = 0
    slowest: float = 0.0
    lists: int = 0
    slowest_list: float = 0.0
    degraded: int = 0
    retried: int = 0
    failed: int = 0
    late: float = 0.0


@dataclass
class Load:
    """Posts ``data`` in its order, and asks for lists of its listeners.

    Parameters
    ----------
    apis
        Base URLs; the list may change.
    plays_per_s, lists_per_s
        How many, on average.

    Attributes
    ----------
    phase
        Name of the present phase; the scenario sets it.
    """

    data: InteractionLog
    collection: str
    token: str
    apis: list[str]
    plays_per_s: float
    lists_per_s: float
    posted: Posted = field(default_factory=Posted)
    reasons: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    phase: str = ""
    _accepted: dict[str, str] = field(default_factory=dict)
    _seen: Figures = field(default_factory=Figures)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _error: BaseException | None = None

    def start(self) -> None:
        """Begin, in a thread."""
        self._thread = threading.Thread(target=self._guarded, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Post nothing new and wait until all that was posted is accepted."""
        self._stopping.set()
        assert self._thread is not None
        self._thread.join(180)
        assert not self._thread.is_alive(), "plays are not accepted"
        self.check()

    def check(self) -> None:
        """Raise what ended the load."""
        if self._error is not None:
            raise self._error

    def figures(self) -> Figures:
        """Return what was seen since the last call."""
        seen, self._seen = self._seen, Figures()
        return seen

    def trail(self, event_id: str) -> str:
        """Return when and by which API a play was accepted, after how many requests."""
        return f"{event_id}: {self._accepted[event_id]}"

    def sent(self) -> InteractionLog:
        """Return the plays that were posted."""
        data, n = self.data, self.rows
        assert data.artists
        assert data.titles
        return InteractionLog(
            data.users[:n],
            data.items[:n],
            np.asarray(data.seconds[:n]),
            data.artists[:n],
            data.titles[:n],
        )

    def _guarded(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._error = error

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            pools = [await stack.enter_async_context(self._client()) for _ in range(_POOLS)]
            client = await stack.enter_async_context(self._client())
            group = await stack.enter_async_context(asyncio.TaskGroup())
            group.create_task(
                self._each(group, _TOGETHER / self.plays_per_s, self._next_plays, pools)
            )
            group.create_task(self._each(group, 1 / self.lists_per_s, self._ask, client))
            group.create_task(self._note_lateness())

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers={"authorization": f"Bearer {self.token}"},
            timeout=_PATIENCE,
            limits=httpx.Limits(max_connections=None),
            verify=False,  # plain HTTP: reading every certificate would cost a second
        )

    async def _each(self, group: asyncio.TaskGroup, every: float, act: Any, *given: Any) -> None:
        """Begin something every so many seconds, whether or not the last ones have ended."""
        begun = time.monotonic()
        for number in count():
            if self._stopping.is_set():
                return
            group.create_task(act(number, *given))
            await asyncio.sleep(max(0.0, begun + every * (number + 1) - time.monotonic()))

    async def _note_lateness(self) -> None:
        while not self._stopping.is_set():
            due = time.monotonic() + _TICK
            await asyncio.sleep(_TICK)
            self._seen.late = max(self._seen.late, time.monotonic() - due)

    async def _next_plays(self, number: int, pools: list[httpx.AsyncClient]) -> None:
        rows = range(self.rows, min(self.rows + _TOGETHER, len(self.data)))
        assert rows, "more plays are needed"
        self.rows = rows.stop
        plays = []
        for row in rows:
            artist, title = self.data.name(row, self.collection)
            at = int(self.data.seconds[row]) * 1000
            user = self.data.users[row]
            plays.append({"user": user, "artist": artist, "title": title, "played_at": at})
        begun, phase = time.monotonic(), self.phase
        for attempt in count(number):
            api = self.apis[attempt % len(self.apis)]
            try:
                pool = pools[number % len(pools)]
                answer = await pool.post(f"{api}/v1/plays", json={"plays": plays})
                if answer.status_code == 202:
                    break
                self._refuse(f"plays: {answer.status_code}")
                assert answer.status_code in (429, 503), answer.text
            except httpx.TransportError as error:
                self._refuse(f"plays: {type(error).__name__}")
            self.posted.retries += 1
            await asyncio.sleep(random.uniform(0.1, 0.5))
        how = (
            f"accepted at {time.time():.3f} by {api}, {time.monotonic() - begun:.3f} s after the "
            f"first of {attempt - number + 1} requests; begun in: {phase}; then: {self.phase}"
        )
        for result in answer.json()["results"]:
            assert result["status"] == "accepted", result
            self.posted.accepted.add(result["event_id"])
            self._accepted[result["event_id"]] = how
        self._seen.plays += len(plays)
        self._seen.slowest = max(self._seen.slowest, time.monotonic() - begun)

    def _refuse(self, reason: str) -> None:
        self._seen.refused += 1
        self.reasons[reason] += 1

    async def _ask(self, number: int, client: httpx.AsyncClient) -> None:
        user = random.choice(self.data.users)
        apis = list(self.apis)
        self._seen.lists += 1
        begun = time.monotonic()
        for attempt in range(_ROUNDS * len(apis)):
            api = apis[(number + attempt) % len(apis)]
            try:
                answer = await client.get(f"{api}/v1/users/{user}/recommendations?limit=10")
            except httpx.TransportError as error:
                self.reasons[f"list: {type(error).__name__}"] += 1
                continue
            if answer.status_code == 200:
                self._seen.degraded += answer.json()["degraded"]
                self._seen.retried += attempt > 0
                seconds = time.monotonic() - begun
                self._seen.slowest_list = max(self._seen.slowest_list, seconds)
                return
            self.reasons[f"list: {answer.status_code}"] += 1
        self._seen.failed += 1
