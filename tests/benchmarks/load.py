"""A small HTTP load generator: open loop (a schedule) or closed loop (as fast as answered).

In the open loop a request is due at a fixed time, even if earlier ones are unanswered, and
its latency counts from that time: a server that stalls cannot hide it by slowing the generator.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np


@dataclass(slots=True)
class LoadResult:
    """What a run measured.

    Attributes
    ----------
    seconds
        From the first request due to the last answer.
    latencies
        Seconds of each answer, from its scheduled time (open loop) or from sending (closed loop).
    statuses
        Answers by HTTP status; 0 is a connection that broke.
    unanswered
        Requests that were due but had no answer when the run was cut off.
    """

    seconds: float
    latencies: list[float]
    statuses: Counter[int]
    unanswered: int = 0
    sample: bytes = b""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, q: float) -> float:
        """Latency (ms) that ``q`` per cent of the answers stay below; NaN without answers."""
        return float(np.percentile(self.latencies, q) * 1000) if self.latencies else float("nan")

    def summary(self) -> dict[str, float | int | dict[str, int]]:
        """Return the figures to print or to store."""
        return {
            "requests": len(self.latencies),
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 1),
            "p50_ms": round(self.percentile(50), 2),
            "p99_ms": round(self.percentile(99), 2),
            "max_ms": round(self.percentile(100), 2),
            "unanswered": self.unanswered,
            "statuses": {str(k): v for k, v in sorted(self.statuses.items())},
        }


@dataclass(slots=True)
class _Shared:
    request: Callable[[int], bytes]
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    sample: bytes = b""
    sent: int = 0
    wake: Callable[[_Connection], None] | None = None


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request in flight."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self._due = 0.0
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.busy = False
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's derives from nothing

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.busy:
            self._done(0, b"")

    def send(self, due: float) -> None:
        assert self._transport is not None
        shared = self._shared
        self.busy = True
        self._due = due
        request = shared.request(shared.sent)
        shared.sent += 1
        self._transport.write(request)

    def close(self) -> None:
        self.busy = False
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = self._buffer[:head].lower()
        at = lower.find(b"content-length:")
        end = lower.find(b"\r\n", at)
        size = int(lower[at + 15 : end if end >= 0 else head]) if at >= 0 else 0
        if len(self._buffer) < head + 4 + size:
            return
        body = self._buffer[head + 4 : head + 4 + size]
        status = int(self._buffer[9:12])
        self._buffer = b""
        self._done(status, body)

    def _done(self, status: int, body: bytes) -> None:
        shared = self._shared
        self.busy = False
        shared.latencies.append(time.perf_counter() - self._due)
        shared.statuses[status] += 1
        if not shared.sample:
            shared.sample = body
        if shared.wake is not None:
            shared.wake(self)


def http_request(
    method: str, target: str, host: str, token: str | None = None, body: bytes = b""
) -> bytes:
    """Return the bytes of one HTTP/1.1 request."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body or method == "POST":
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def open_loop(
    host: str,
    port: int,
    request: Callable[[int], bytes],
    *,
    rate: float,
    seconds: float,
    connections: int = 64,
    patience: float = 5.0,
) -> LoadResult:
    """Send ``rate`` requests a second for ``seconds``; latency counts from the scheduled time.

    Parameters
    ----------
    request
        Returns the bytes of the n-th request (:func:`http_request`).
    patience
        How long to wait for the last answers, seconds.
    """
    shared = _Shared(request)
    free = await _connect(host, port, shared, connections)
    everyone = list(free)
    waiting: deque[float] = deque()

    def wake(connection: _Connection) -> None:
        if connection.closed:
            return
        if waiting:
            connection.send(waiting.popleft())
        else:
            free.append(connection)

    shared.wake = wake
    total = int(rate * seconds)
    started = time.perf_counter()
    issued = 0
    while issued < total:
        now = time.perf_counter()
        target = min(total, int((now - started) * rate) + 1)
        while issued < target:
            due = started + issued / rate
            issued += 1
            if free:
                free.popleft().send(due)
            else:
                waiting.append(due)
        await asyncio.sleep(0.0005)
    deadline = time.perf_counter() + patience
    while len(shared.latencies) < total and time.perf_counter() < deadline:
        await asyncio.sleep(0.001)
    elapsed = time.perf_counter() - started
    answered = len(shared.latencies)
    shared.wake = None
    _close(everyone)
    return LoadResult(elapsed, shared.latencies, shared.statuses, total - answered, shared.sample)


async def closed_loop(
    host: str,
    port: int,
    request: Callable[[int], bytes],
    *,
    seconds: float,
    connections: int = 64,
) -> LoadResult:
    """Keep every connection busy for ``seconds``: what the server can do, at this concurrency."""
    shared = _Shared(request)
    everyone = list(await _connect(host, port, shared, connections))
    started = time.perf_counter()
    end = started + seconds

    def wake(connection: _Connection) -> None:
        now = time.perf_counter()
        if now < end and not connection.closed:
            connection.send(now)

    shared.wake = wake
    for connection in everyone:
        connection.send(time.perf_counter())
    while time.perf_counter() < end + 5.0 and any(c.busy for c in everyone):
        await asyncio.sleep(0.002)
    elapsed = time.perf_counter() - started
    unanswered = sum(c.busy for c in everyone)
    shared.wake = None
    _close(everyone)
    return LoadResult(elapsed, shared.latencies, shared.statuses, unanswered, shared.sample)


async def _connect(host: str, port: int, shared: _Shared, count: int) -> deque[_Connection]:
    loop = asyncio.get_running_loop()
    opened: deque[_Connection] = deque()
    for start in range(0, count, 50):  # a burst of a thousand would overrun the backlog
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda: _Connection(shared), host, port)
                for _ in range(min(50, count - start))
            )
        )
        opened.extend(protocol for _, protocol in made)
    return opened


def _close(connections: list[_Connection]) -> None:
    for connection in connections:
        connection.close()
