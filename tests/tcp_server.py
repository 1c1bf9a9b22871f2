"""TCP servers for tests. A server closes every connection when it ends.

The garbage collector would find an open connection during a later test, and that test would fail.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from infra.stack.ports import LOOPBACK

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


@asynccontextmanager
async def tcp_server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve while the block runs, on the port that it is given.

    Parameters
    ----------
    serve
        Handles one connection; when it returns or fails, the connection ends.
    tls
        Makes it a server of TLS.
    """
    handlers: set[asyncio.Task[object]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        task.add_done_callback(handlers.discard)
        writers.append(writer)
        try:
            with suppress(OSError):
                await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, LOOPBACK, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await _turns()
        for task in handlers:
            task.cancel()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*handlers, return_exceptions=True)
        await _turns()


async def _turns() -> None:
    """Let the event loop finish accepting and closing connections."""
    for _ in range(20):
        await asyncio.sleep(0)


@contextmanager
def in_thread(serve: Serve, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run :func:`tcp_server` in a thread with its own event loop."""
    ports: list[int] = []
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    started = threading.Event()

    async def run() -> None:
        over = asyncio.Event()
        async with tcp_server(serve, tls) as port:
            ports.append(port)
            loops.append((asyncio.get_running_loop(), over))
            started.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield ports[0]
    finally:
        loop, over = loops[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        assert not thread.is_alive()


async def forward(
    target: int,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delay: Callable[[], float] = lambda: 0.0,
) -> None:
    """Forward a connection to a local server; each answer goes back ``delay()`` seconds later."""
    behind_reader, behind = await asyncio.open_connection(LOOPBACK, target)
    try:
        await asyncio.gather(
            _copy(reader, behind, lambda: 0.0), _copy(behind_reader, writer, delay)
        )
    finally:
        behind.transport.abort()


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Callable[[], float]
) -> None:
    """Forward each chunk after its delay; the next chunk does not wait for it."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            loop.call_later(delay(), writer.write, data)
    loop.call_later(delay(), writer.close)
    # The caller closes the connection next, which must not cut off what is still in flight.
    await asyncio.sleep(delay())
