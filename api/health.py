"""/healthz (the process lives), /readyz (everything behind it too), /metrics."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from fastapi import APIRouter, Response

from api.operation.exported import collect
from api.web import With, answers, json_reply

#: What this process itself needs to take traffic; the rest only makes answers poorer or later.
OWN = ("kafka", "postgres")
#: What a new process waits for before it joins others behind an address.
FIRST = (*OWN, "model")
#: Shown, but an API without it is ready: the model's lists take the place of Flink's.
OPTIONAL = ("flink",)
router = APIRouter(tags=["operation"])


#: Where something runs: for operators (``/v1/operations``), not for whoever asks.
_ADDRESS = re.compile(r"(?:\[[0-9a-f:]+\]|[\w.-]+):\d{2,5}\b|\b\d{1,3}(?:\.\d{1,3}){3}\b")


def public(text: str) -> str:
    """Return a text without addresses of brokers and stores.

    Examples
    --------
    >>> public("waiting: Kafka at 127.0.0.1:9092: no answer within 10 s")
    'waiting: Kafka at (address): no answer within 10 s'
    """
    return _ADDRESS.sub("(address)", text)


class Health(msgspec.Struct):
    """The process answers."""

    status: str


class Readiness(msgspec.Struct):
    """State of every part: ``ok``, or what is wrong."""

    ready: bool
    stopping: bool
    dependencies: dict[str, str]
    workers: dict[str, str]


@router.get("/healthz", responses=answers(Health), summary="Does the process live?")
async def healthz() -> Response:
    """Answer at once, without a look at any dependency."""
    return json_reply(Health("ok"))


@router.get(
    "/readyz",
    responses={
        **answers(Readiness, text="Ready."),
        **answers(Readiness, 503, "Not ready: the body names what is missing."),
    },
    summary="Is everything ready?",
)
async def readyz(services: With, scope: Literal["all", "api", "pod"] = "all") -> Response:
    """Say what is up, from memory.

    With ``scope=api`` only what this process needs to take traffic counts (Kafka and the
    accounts): everything else degrades without failing. With ``scope=pod`` the process is ready
    from the moment when it has reached both once and has a model, until it stops. Use that where
    several processes share an address: if all of them turned unready whenever Kafka or PostgreSQL
    fails, nobody would answer requests for lists, which need neither.
    """
    watcher = services.watcher
    workers = services.workers.states()
    if scope == "api":
        good = all(watcher.state[name] == "ok" for name in OWN)
    elif scope == "pod":
        good = watcher.reached.issuperset(FIRST)
    else:
        needed = [state for name, state in watcher.state.items() if name not in OPTIONAL]
        good = all(state == "ok" for state in (*needed, *workers.values()))
    ready = good and not watcher.stopping
    dependencies = {name: public(state) for name, state in watcher.state.items()}
    workers = {name: public(state) for name, state in workers.items()}
    body = Readiness(ready, watcher.stopping, dependencies, workers)
    return json_reply(body, 200 if ready else 503)


@router.get(
    "/metrics",
    summary="Counters and latencies for Prometheus.",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(services: With) -> Response:
    """Return the Prometheus exposition (names: docs/runbook.md)."""
    found = await collect(services)
    return Response(services.metrics.render(found), media_type=services.metrics.content_type)
