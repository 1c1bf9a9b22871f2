"""A stack of its own for one benchmark run, in a temporary home, stopped in every case."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from contracts.settings import Settings
from infra.stack.ports import free_ports
from infra.stack.process import wait_until
from infra.stack.stack import Stack


@contextmanager
def servers(broker: str = "tansu", **settings: float) -> Iterator[Stack]:
    """Run broker, Valkey and PostgreSQL with topics and tables; no workers."""
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        port, web_port = free_ports(2)
        base = Settings(port=port, web_port=web_port, **settings)  # type: ignore[arg-type]
        stack = Stack(Path(folder), broker, base=base)
        try:
            stack.start_servers()
            yield stack
        finally:
            stack.stop()


@contextmanager
def whole(broker: str = "tansu", **settings: float) -> Iterator[Stack]:
    """Run the whole stack, ready to serve."""
    with servers(broker, **settings) as stack:
        stack.start_workers()
        stack.wait_ready()
        yield stack


@contextmanager
def api_alone(broker: str = "tansu", **settings: float) -> Iterator[Stack]:
    """Run the servers and the API, no worker that follows the log."""
    with servers(broker, **settings) as stack:
        stack.start_worker("api")
        address = f"{stack.api}/readyz?scope=api"
        assert wait_until(lambda: answers(address), 60), "the API does not become ready"
        yield stack


def answers(address: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return httpx.get(address, timeout=60).status_code == 200
    except httpx.TransportError:
        return False
