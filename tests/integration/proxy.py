"""A TCP proxy that makes a real server slow: every answer comes later, none is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass
class SlowProxy:
    """Listens at ``port``; answers of the server behind come ``delay`` seconds later."""

    port: int
    delay: float


@contextmanager
def slow_proxy(target: int, delay: float) -> Iterator[SlowProxy]:
    """Run a proxy before a server of this machine, in a thread of its own."""
    made: list[SlowProxy] = []
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    open_writers: list[asyncio.StreamWriter] = []
    started = threading.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind = await asyncio.open_connection("127.0.0.1", target)
        open_writers.extend((writer, behind))
        await asyncio.gather(
            _copy(reader, behind, lambda: 0.0),
            _copy(behind_reader, writer, lambda: made[0].delay),
        )

    async def serve() -> None:
        over = asyncio.Event()
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        made.append(SlowProxy(server.sockets[0].getsockname()[1], delay))
        loops.append((asyncio.get_running_loop(), over))
        started.set()
        await over.wait()
        server.close()
        for writer in open_writers:
            writer.transport.abort()
        await asyncio.sleep(0.1)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    yield made[0]
    loop, over = loops[0]
    loop.call_soon_threadsafe(over.set)
    thread.join(10)


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Callable[[], float]
) -> None:
    """Hand on what comes, each piece so much later, without holding up the next."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            loop.call_later(delay(), writer.write, data)
    loop.call_later(delay(), writer.close)
