"""`segue bench serve` and `segue bench ingest`: what the API carries, beside a static answer.

The floor is the application of :mod:`tests.benchmarks.floor` on the same server and settings, sent
the same requests by the same generator in the same run. Rates are closed loop (every connection
always busy: what the server can do); latencies are open loop (a schedule that does not wait for the
server), counted from the scheduled time. ``ratio`` compares the rates; ``cpu_ratio`` the processor
time of the floor's process a request with that of the API's, which on few cores is the truer one:
the generator (see its share of a core), the broker and the folds take theirs from the same cores.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts.workers import CORE_FOLDS
from infra.operations.replay.reconcile import wait_for_workers
from infra.stack.ports import free_ports
from infra.stack.stack import Stack
from tests.benchmarks.cpu import GENERATOR, CpuTimes, pids_of
from tests.benchmarks.figures import latency, machine
from tests.benchmarks.freshness import teach
from tests.benchmarks.load import LoadResult, closed_loop, http_request, open_loop
from tests.benchmarks.stack import api_alone, whole
from tests.plays import interactions

_HOST = "127.0.0.1"
_LISTENERS = 300
_TRACKS = 20_000
Request = Callable[[int], bytes]


def serve(
    *,
    broker: str = "tansu",
    rate: float = 2000,
    seconds: float = 10,
    connections: Sequence[int] = (64, 1000),
    history: int = 20_000,
) -> dict[str, Any]:
    """Measure recommendations a second and their latency, beside a static answer.

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
        first = _asked_first(stack, request)
        runs = [beside_floor(stack, request, rate, seconds, count, settle) for count in connections]
        return {"asked_first": first, "runs": runs, "broker": broker, "machine": machine()}


def _asked_first(stack: Stack, request: Request) -> dict[str, float]:
    """Return the latency of the first lists that anybody asks for, ms: each is of another listener.

    The very first one also finds the token and the connection new.
    """
    port = stack.settings.port
    load = open_loop(_HOST, port, request, rate=50, seconds=2, connections=1)
    latencies = asyncio.run(load).latencies
    return {"very_first_ms": round(1000 * latencies[0], 2), **latency(latencies[1:])}


def ingest(
    *,
    broker: str = "tansu",
    batch: int = 100,
    single_rate: float = 2000,
    batch_rate: float = 200,
    seconds: float = 10,
    connections: Sequence[int] = (64, 1000),
) -> dict[str, Any]:
    """Measure plays a second acknowledged by the broker and their latency, beside a static answer.

    First the API with the broker alone, then, on the same log, with the workers that follow it:
    on two cores the folds take theirs from the API.

    Parameters
    ----------
    batch
        Plays of a large request.
    single_rate, batch_rate
        Requests a second of the open loop, of one play and of ``batch`` plays.
    seconds
        Length of each of the runs.
    connections
        Keep-alive connections, one run of each kind for each number.
    """
    kinds = [(size, rate, count) for size, rate in ((1, single_rate), (batch, batch_rate))
             for count in connections]  # fmt: skip
    with api_alone(broker) as stack:
        alone = [_ingest_run(stack, *kind, seconds, _nobody_follows) for kind in kinds]
        started = time.perf_counter()
        for name in CORE_FOLDS:
            stack.start_worker(name)
        stack.wait_ready()
        settle(stack)
        caught_up = time.perf_counter() - started
        together = [_ingest_run(stack, *kind, seconds, settle) for kind in kinds]
        return {
            "api_alone": alone,
            "whole_stack": together,
            "log_folded_seconds": round(caught_up, 1),
            "broker": broker,
            "machine": machine(),
        }


def _ingest_run(
    stack: Stack,
    size: int,
    rate: float,
    connections: int,
    seconds: float,
    settle: Callable[[Stack], None],
) -> dict[str, Any]:
    found = beside_floor(stack, _plays(stack, size), rate, seconds, connections, settle)
    closed = found["closed_loop"]
    return {
        "plays_a_request": size,
        "plays_per_second": round(closed["rate"] * size),
        "cpu_us_per_play": {
            name: round(cost / size, 2) for name, cost in closed["cpu_us_per_request"].items()
        },
        **found,
    }


def _nobody_follows(_: Stack) -> None:
    """Do not wait."""


def beside_floor(
    stack: Stack,
    request: Request,
    rate: float,
    seconds: float,
    connections: int,
    wait: Callable[[Stack], None],
) -> dict[str, Any]:
    """Send requests to the floor and to the API, closed loop and open loop; return the figures.

    Parameters
    ----------
    wait
        Called after each run: waits for the workers whose processor time counts.
    """
    port = stack.settings.port
    pids = pids_of(stack)

    def closed(at: int) -> Coroutine[Any, Any, LoadResult]:
        return closed_loop(_HOST, at, request, seconds=seconds, connections=connections)

    def scheduled(at: int) -> Coroutine[Any, Any, LoadResult]:
        return open_loop(_HOST, at, request, rate=rate, seconds=seconds, connections=connections)

    with _floor_server() as (floor_port, floor_pid):
        floor, floor_figures = _measured(closed(floor_port), {"floor": floor_pid})
        _, floor_open = _measured(scheduled(floor_port), {"floor": floor_pid})
    ours, figures = _measured(closed(port), pids, lambda: wait(stack))
    _, open_figures = _measured(scheduled(port), pids, lambda: wait(stack))
    cost, floor_cost = (
        found["cpu_us_per_request"][name]
        for found, name in ((figures, "api"), (floor_figures, "floor"))
    )
    return {
        "connections": connections,
        "closed_loop": figures,
        "floor_closed_loop": floor_figures,
        "ratio": round(ours.rate / floor.rate, 3),
        "cpu_ratio": round(floor_cost / cost, 3),
        "asked_rate": rate,
        "open_loop": open_figures,
        "floor_open_loop": floor_open,
        "sample": ours.sample[:200].decode(errors="replace"),
    }


def _measured(
    run: Coroutine[Any, Any, LoadResult],
    pids: Mapping[str, int],
    settle: Callable[[], None] = lambda: None,
) -> tuple[LoadResult, dict[str, Any]]:
    """Run a load; return what came of it and its figures with the processor time of each process.

    What serves is counted until the last answer, what follows the log until it has caught up.
    """
    times = CpuTimes(pids)
    result = asyncio.run(run)
    answered, busy = len(result.latencies), times.share(GENERATOR)
    serving = times.per_request(answered)
    started = time.perf_counter()
    settle()
    behind = time.perf_counter() - started
    following = times.per_request(answered)
    spent = {
        name: serving[name] if name in ("api", "floor", GENERATOR) else cost
        for name, cost in following.items()
    }
    return result, {
        **result.summary(),
        "generator_core_share": busy,
        "caught_up_after_seconds": round(behind, 2),
        "cpu_us_per_request": dict(sorted(spent.items(), key=lambda item: -item[1])),
    }


def plays_one_by_one(stack: Stack) -> Request:
    """Return requests that post a single play each and never repeat one."""
    return _plays(stack, 1)


def settle(stack: Stack) -> None:
    """Let the folds catch up, so that one run does not pay for the one before."""
    wait_for_workers(stack.settings, timeout=180)


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
    # Put together from parts: the generator shares the machine with what it measures.
    names = [b'","artist":"artist %d","title":"track %d","played_at":' % (n // 10, n)
             for n in range(_TRACKS)]  # fmt: skip

    def request(n: int) -> bytes:
        user = b'{"user":"u%d' % (n % _LISTENERS)
        plays = [user + names[(n * 7 + k) * 31 % _TRACKS] + b"%d000}" % next(taken)
                 for k in range(size)]  # fmt: skip
        body = b'{"plays":[%b]}' % b",".join(plays)
        return http_request("POST", "/v1/plays", host, token, body)

    return request


@contextmanager
def _floor_server() -> Iterator[tuple[int, int]]:
    """Run the floor; give its port and process id."""
    port = free_ports(1)[0]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.floor", str(port)],
        cwd=Path(__file__).parents[2],
        env=os.environ.copy(),
    )
    try:
        asyncio.run(_answers(port))
        yield port, process.pid
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
