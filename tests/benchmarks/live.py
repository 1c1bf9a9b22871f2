"""`segue bench live`: single plays while every worker follows, on a young log and on a long one.

Each run is closed loop (every connection posts its next play when the last is answered), then open
loop at a rate, beside the constant answer of :mod:`tests.benchmarks.floor` in the same run. Between
the two rounds the log grows by ``grow`` single plays, each posted and acknowledged like the others.
``kept`` compares the rounds: 1 means that the long log costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from infra.stack.stack import Stack
from tests.benchmarks.figures import machine
from tests.benchmarks.http_load import beside_floor, plays_one_by_one, settle
from tests.benchmarks.load import closed_loop
from tests.benchmarks.stack import whole

_HOST = "127.0.0.1"
_SLICE = 10.0
_GROWING = 256


def run(
    *,
    broker: str = "kafka",
    grow: int = 100_000,
    rate: float = 2000,
    seconds: float = 5,
    connections: Sequence[int] = (64, 1000),
) -> dict[str, Any]:
    """Measure single plays while every worker follows, on a young log and on a long one.

    Parameters
    ----------
    grow
        Single plays between the rounds; 0 measures the young log alone.
    rate
        Plays a second of the open loop.
    seconds
        Length of each run.
    """
    with whole(broker) as stack:
        request = plays_one_by_one(stack)

        def measured() -> list[dict[str, Any]]:
            return [
                beside_floor(stack, request, rate, seconds, count, settle) for count in connections
            ]

        young = measured()
        found: dict[str, Any] = {"young": young}
        if grow:
            found["growth"] = _grow(stack, request, grow)
            found["long"] = long = measured()
            found["kept"] = [
                round(after["closed_loop"]["rate"] / before["closed_loop"]["rate"], 3)
                for before, after in zip(young, long, strict=True)
            ]
        return {**found, "broker": broker, "machine": machine()}


def _grow(stack: Stack, request: Any, plays: int) -> dict[str, float]:
    """Post so many single plays; return how long that took, the followers included."""
    started = time.perf_counter()
    posted = 0
    while posted < plays:
        load = closed_loop(
            _HOST, stack.settings.port, request, seconds=_SLICE, connections=_GROWING
        )
        answers = asyncio.run(load)
        refused = sum(count for status, count in answers.statuses.items() if status // 100 != 2)
        assert not refused, answers.summary()
        posted += len(answers.latencies)
    settle(stack)
    return {"plays": posted, "seconds": round(time.perf_counter() - started, 1)}
