"""`segue bench tracing`: what the decision whether to trace costs a request that is not traced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from contracts.settings import Settings
from contracts.trace_export import Traces
from infra.stack.process import wait_until
from infra.stack.stack import Stack
from tests.benchmarks.cpu import CpuTimes, pids_of
from tests.benchmarks.figures import machine
from tests.benchmarks.http_load import plays_one_by_one
from tests.benchmarks.load import closed_loop
from tests.benchmarks.stack import answers, api_alone
from tests.otlp import Collector

#: Headers of a usual request, before the one that decides.
_HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"authorization", b"Bearer 0123456789abcdef0123456789abcdef"),
    (b"user-agent", b"player/1.0"),
    (b"content-type", b"application/json"),
    (b"content-length", b"180"),
]
_ID = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


def run(*, broker: str = "tansu", seconds: float = 8, rounds: int = 2) -> dict[str, Any]:
    """Measure the processor time of a request that is not traced, beside one without tracing.

    Parameters
    ----------
    seconds
        Length of each load of single plays.
    rounds
        Loads of the API without and then with tracing.
    """
    collector = Collector()
    try:
        decisions = _decisions(collector.url)
        with api_alone(broker) as stack:
            ready = f"{stack.api}/readyz?scope=api"
            cpu: dict[str, list[float]] = {"without": [], "not_traced": []}
            for _ in range(rounds):
                for kind, url in (("without", ""), ("not_traced", collector.url)):
                    stack.workers.pop("api").stop()
                    stack.start_worker("api", SEGUE_TRACES_URL=url)
                    assert wait_until(partial(answers, ready), 60), "the API is not ready"
                    cpu[kind].append(_cpu_us(stack, seconds))
    finally:
        collector.close()
    slowest = max(decisions["no_header_ns"], decisions["header_not_sampled_ns"])
    share = slowest / 1000 / min(cpu["without"])
    return {
        "decision": decisions,
        "api_cpu_us_per_play": cpu,
        "share_of_a_play": round(share, 5),
        "broker": broker,
        "machine": machine(),
        "ok": share < 0.01,
    }


def _cpu_us(stack: Stack, seconds: float) -> float:
    times = CpuTimes({"api": pids_of(stack)["api"]})
    load = closed_loop(
        "127.0.0.1", stack.settings.port, plays_one_by_one(stack), seconds=seconds, connections=64
    )
    return times.per_request(len(asyncio.run(load).latencies))["api"]


def _decisions(url: str) -> dict[str, float]:
    """Return the processor time of one decision, and of one span, in nanoseconds."""
    settings = Settings(traces_url=url, traces_share=0.0001, traces_per_second=1_000_000_000)
    traces = Traces(settings, "api", lambda *_: None)
    nothing: Traces | None = None
    without, sampled = (
        [*_HEADERS, (b"traceparent", _ID + b"00")],
        [*_HEADERS, (b"traceparent", _ID + b"01")],
    )

    def span() -> None:
        made = traces.request(sampled)
        assert made is not None
        made.end()

    try:
        idle = _ns(lambda: None, 1_000_000)
        return {
            "off_ns": _ns(lambda: None if nothing is None else nothing.request(_HEADERS)) - idle,
            "no_header_ns": _ns(lambda: traces.request(_HEADERS)) - idle,
            "header_not_sampled_ns": _ns(lambda: traces.request(without)) - idle,
            "span_ns": _ns(span, 2_000) - idle,
        }
    finally:
        traces.close()


def _ns(call: Callable[[], object], count: int = 200_000) -> float:
    """Return the least processor time of a call in five tries, nanoseconds."""
    found = []
    for _ in range(5):
        began = time.thread_time_ns()
        for _ in range(count):
            call()
        found.append((time.thread_time_ns() - began) / count)
    return round(min(found), 1)
