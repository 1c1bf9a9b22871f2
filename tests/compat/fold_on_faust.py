"""``python -m tests.compat.fold_on_faust BROKER NAMESPACE``: a fold on Faust that prints JSON.

A process of its own, as in a deployment: Faust's consumer thread leaves tasks behind when it stops.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from faust.types import TP

from contracts.settings import Settings
from contracts.topics import Topics
from streams.app import FoldConsumer, MessageRun, commit, make_app, start
from streams.fetching import FetchGate

#: Where the fold stands: it has applied what is before.
FROM = 10
#: Methods of the base class that the consumer replaces or extends.
HOOKS = (
    "_add_gap",
    "verify_event_path",
    "_new_consumer_thread",
    "on_partitions_assigned",
    "perform_seek",
    "resume_flow",
)
_FETCH = 1  # the number of the request in Kafka's protocol


def spy(called: set[str], written: list[bytes]) -> None:
    """Note which hooks are called, and what this process writes to sockets."""

    def noted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def hook(*arguments: Any) -> Any:
            called.add(name)
            return original(*arguments)

        return hook

    for name in HOOKS:
        setattr(FoldConsumer, name, noted(name, getattr(FoldConsumer, name)))
    write = asyncio.StreamWriter.write

    def noting(writer: asyncio.StreamWriter, data: bytes) -> None:
        written.append(bytes(data))
        write(writer, data)

    asyncio.StreamWriter.write = noting  # type: ignore[assignment, method-assign]


def fetch_waits(written: list[bytes]) -> list[int]:
    """Return the longest wait that each fetch among some requests asks for, milliseconds."""
    waits = set()
    for data in written:
        if len(data) >= 14 and struct.unpack_from(">h", data, 4)[0] == _FETCH:
            (length,) = struct.unpack_from(">h", data, 12)  # of the client's name
            _replica, wait = struct.unpack_from(">ii", data, 14 + max(length, 0))
            waits.add(wait)
    return sorted(waits)


def spy_on_gate(passed: list[FetchGate]) -> None:
    """Note each fetch that goes through the gate."""
    original = FetchGate.passed

    async def noted(gate: FetchGate, fetch: Callable[[], Awaitable[bool]]) -> bool:
        passed.append(gate)
        return await original(gate, fetch)

    FetchGate.passed = noted  # type: ignore[method-assign,assignment]


async def main(kafka: str, namespace: str, last: int, held: bool) -> dict[str, object]:
    """Follow the topic of plays from the fold's place to the last offset; return what was seen."""
    called: set[str] = set()
    written: list[bytes] = []
    runs: list[MessageRun] = []
    spy(called, written)
    gated: list[FetchGate] = []
    spy_on_gate(gated)
    topic = Topics(namespace).plays

    async def positions(assigned: set[TP]) -> dict[TP, int]:
        return dict.fromkeys(assigned, FROM)

    async def take(stream: Any) -> None:
        async for run in stream:
            runs.append(run)  # noqa: PERF401  # the stream has no end

    settings = Settings(home=Path(), kafka=kafka, namespace=namespace, broker_holds_fetches=held)
    app = make_app(settings, f"{namespace}.fold", positions)
    app.agent(app.topic(topic), name="fold")(take)
    await start(app)
    while not runs or runs[-1].records[-1].offset < last:
        await asyncio.sleep(0.02)
    await cast(FoldConsumer, app.consumer).verify_all_partitions_active()
    committed = await commit(app, {TP(topic, 0): 33})
    crashed = [app._crashed.is_set()]
    app._crash(RuntimeError("made up"))
    await asyncio.wait_for(app._crashed.wait(), 10)
    return {
        "called": sorted(called),
        "through_the_gate": len(gated),
        "fetch_waits": fetch_waits(written),
        "runs": [[record.offset for record in run.records] for run in runs],
        "first": runs[0].records[0].value.decode(),  # type: ignore[union-attr]
        "committed": committed,
        "assigned_at": app.assigned_at,
        "crashed": [*crashed, app._crashed.is_set()],
        "reason": repr(app.crash_reason),
    }


if __name__ == "__main__":
    _, address, prefix, end, holds = sys.argv
    following = main(address, prefix, int(end), bool(int(holds)))
    seen = asyncio.new_event_loop().run_until_complete(following)
    print(json.dumps(seen), flush=True)
    os._exit(0)  # without Faust's own end, see above
