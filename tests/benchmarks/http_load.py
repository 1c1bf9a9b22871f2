"""`segue bench serve` and `segue bench ingest`: what the API carries, beside a static answer.

The floor is the application of :mod:`tests.benchmarks.floor` on the same server and settings, sent
the same requests by the same generator in the same run. Rates are closed loop (every connection
always busy: what the server can do); latencies are open loop (a schedule that does not wait for the
server), counted from the scheduled time. The generator needs a core of its own: on two cores the
broker, the folds and the learner share the other one with the API.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from infra.replay.reconcile import wait_for_workers
from infra.stack.ports import free_ports
from infra.stack.stack import Stack
from tests.benchmarks.figures import machine
from tests.benchmarks.freshness import teach
from tests.benchmarks.load import LoadResult, closed_loop, http_request, open_loop
from tests.benchmarks.stack import whole
from tests.plays import interactions

_HOST = "127.0.0.1"
_LISTENERS = 300
Request = Callable[[int], bytes]


def serve(
    *,
    broker: str = "tansu",
    rate: float = 2000,
    seconds: float = 10,
    connections: Sequence[int] = (64, 1000),
    history: int = 20_000,
) -> dict[str, Any]:
    """Measure recommendations for listeners with a history, and the floor.

    Parameters
    ----------
    rate
        Requests a second of the open loop.
    seconds
        Length of each of the runs.
    connections
        Keep-alive connections, one run of each kind for each number.
    history
        Plays the stack has seen before.
    """
    with whole(broker) as stack:
        teach(stack, history)
        request = _recommendations(stack)
        runs = [_beside_floor(stack, request, rate, seconds, count) for count in connections]
        return {"runs": runs, "broker": broker, "machine": machine()}


def ingest(
    *,
    broker: str = "tansu",
    batch: int = 100,
    single_rate: float = 2000,
    batch_rate: float = 200,
    seconds: float = 10,
    connections: Sequence[int] = (64, 1000),
) -> dict[str, Any]:
    """Measure posting plays: one a request, and ``batch`` a request; all acked by the broker."""
    with whole(broker) as stack:
        runs = []
        for size, rate in ((1, single_rate), (batch, batch_rate)):
            for count in connections:
                request = _plays(stack, size)
                found = _beside_floor(stack, request, rate, seconds, count)
                made = found["closed_loop"]["rate"] * size
                runs.append({"plays_a_request": size, "plays_per_second": round(made), **found})
        return {"runs": runs, "broker": broker, "machine": machine()}


def _beside_floor(
    stack: Stack, request: Request, rate: float, seconds: float, connections: int
) -> dict[str, Any]:
    port = stack.settings.port
    with _floor_server() as floor_port:
        floor = asyncio.run(
            closed_loop(_HOST, floor_port, request, seconds=seconds, connections=connections)
        )
        floor_open = asyncio.run(
            open_loop(
                _HOST, floor_port, request, rate=rate, seconds=seconds, connections=connections
            )
        )
    ours = asyncio.run(closed_loop(_HOST, port, request, seconds=seconds, connections=connections))
    _settle(stack)
    scheduled = asyncio.run(
        open_loop(_HOST, port, request, rate=rate, seconds=seconds, connections=connections)
    )
    _settle(stack)
    return {
        "connections": connections,
        "closed_loop": _figures(ours),
        "floor_closed_loop": _figures(floor),
        "ratio": round(ours.rate / floor.rate, 3),
        "asked_rate": rate,
        "open_loop": _figures(scheduled),
        "floor_open_loop": _figures(floor_open),
        "sample": ours.sample[:200].decode(errors="replace"),
    }


def _settle(stack: Stack) -> None:
    """Let the folds catch up, so that one run does not pay for the one before."""
    wait_for_workers(stack.settings, timeout=180)


def _figures(result: LoadResult) -> dict[str, Any]:
    return dict(result.summary())


def _recommendations(stack: Stack) -> Request:
    host = f"{_HOST}:{stack.settings.port}"
    token = stack.settings.admin_token
    users = sorted(set(interactions(20_000).users))
    made = [
        http_request("GET", f"/v1/users/{user}/recommendations?limit=20", host, token)
        for user in users
    ]
    return lambda n: made[n % len(made)]


def _plays(stack: Stack, size: int) -> Request:
    """Return requests that never repeat a play: each has a second of its own."""
    host = f"{_HOST}:{stack.settings.port}"
    token = stack.settings.admin_token
    first = int(time.time()) - 20_000_000
    taken = iter(range(first, first + 20_000_000))
    names = [(f"artist {n // 10}", f"track {n}") for n in range(500)]

    def request(n: int) -> bytes:
        plays = []
        for k in range(size):
            artist, title = names[(n * 7 + k) % len(names)]
            plays.append(
                {
                    "user": f"u{n % _LISTENERS}",
                    "artist": artist,
                    "title": title,
                    "played_at": next(taken) * 1000,
                }
            )
        return http_request("POST", "/v1/plays", host, token, msgspec.json.encode({"plays": plays}))

    return request


@contextmanager
def _floor_server() -> Iterator[int]:
    port = free_ports(1)[0]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.floor", str(port)],
        cwd=Path(__file__).parents[2],
        env=os.environ.copy(),
    )
    try:
        asyncio.run(_answers(port))
        yield port
    finally:
        process.terminate()
        process.wait(10)


async def _answers(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection(_HOST, port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise RuntimeError(f"the floor server does not answer on port {port}")
