"""A TCP proxy that makes a real server slow: every answer comes later, none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.tcp_server import forward, in_thread


@dataclass
class SlowProxy:
    """Listens at ``port``; answers of the server behind come ``delay`` seconds later."""

    port: int
    delay: float


@contextmanager
def slow_proxy(target: int, delay: float) -> Iterator[SlowProxy]:
    """Run a proxy before a server of this machine, in a thread of its own."""
    proxy = SlowProxy(0, delay)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await forward(target, reader, writer, lambda: proxy.delay)

    with in_thread(serve) as proxy.port:
        yield proxy
