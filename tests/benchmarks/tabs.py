"""Browser tabs as the benchmark of the pages opens them, and a static server as their floor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from typing import Any

from infra.stack.ports import LOOPBACK, free_ports
from infra.stack.process import wait_until

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
_END = b"event: list\n"


class Tab:
    """An open tab: notes when lists arrive."""

    def __init__(self, user: str, cookie: dict[str, str]) -> None:
        self.user = user
        self.opened = asyncio.Event()
        self.arrived: list[float] = []
        self.refused = 0
        self._cookie = cookie

    async def read(self, port: int) -> None:
        """Read until cancelled; one that is refused comes back as a browser does."""
        while not await self._read(port):
            self.refused += 1
            await asyncio.sleep(0.5)

    async def _read(self, port: int) -> bool:
        """Read bytes as they come: parsing would cost more than serving. ``False``: refused."""
        reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=2**20)
        head = (
            "GET /ui/live HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip, deflate, br\r\n"
            f"cookie: {self._cookie['cookie']}\r\n\r\n"
        )
        writer.write(head.encode())
        end = b""
        try:
            while piece := await reader.read(65_536):
                if not self.opened.is_set():
                    if not piece.startswith(b"HTTP/1.1 200"):
                        return False
                    self.opened.set()
                # The mark may lie across two pieces.
                if _END in end + piece:
                    self.arrived.append(time.perf_counter())
                end = piece[-len(_END) + 1 :]
            return True
        finally:
            writer.close()


class OpenTabs:
    """Opens tabs and closes them again.

    Attributes
    ----------
    seconds
        How long it took until all of them were open.
    """

    def __init__(self, tabs: Sequence[Tab], port: int) -> None:
        self.tabs = tabs
        self.seconds = 0.0
        self._port = port
        self._readers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> OpenTabs:
        started = time.perf_counter()
        for tab in self.tabs:
            tab.opened.clear()
        self._readers = [asyncio.create_task(tab.read(self._port)) for tab in self.tabs]
        async with asyncio.timeout(180):
            await asyncio.gather(*(tab.opened.wait() for tab in self.tabs))
        self.seconds = time.perf_counter() - started
        return self

    async def __aexit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)


@contextmanager
def static_server(group: int, rate: float, size: int) -> Iterator[int]:
    """Run a process that sends tabs the bytes of lists and does nothing else; yields its port.

    Parameters
    ----------
    group
        Tabs that get a list at the same time.
    rate
        Lists a second.
    size
        Bytes of a list.
    """
    (port,) = free_ports(1)
    ready = get_context("spawn").Event()
    process = get_context("spawn").Process(target=_serve, args=(port, group, rate, size, ready))
    process.start()
    try:
        assert wait_until(ready.is_set, 60), "the static server does not become ready"
        yield port
    finally:
        process.terminate()
        process.join(10)


def _serve(port: int, group: int, rate: float, size: int, ready: Any) -> None:
    asyncio.run(_send(port, group, rate, size, ready))


async def _send(port: int, group: int, rate: float, size: int, ready: Any) -> None:
    streams: list[asyncio.StreamWriter] = []

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_HEAD)
        streams.append(writer)
        with suppress(ConnectionError):  # a client may end in the middle of an event
            await reader.read()
        streams.remove(writer)
        writer.close()

    event = b"event: list\ndata: " + b"x" * size + b"\n\n"
    async with await asyncio.start_server(enter, LOOPBACK, port, backlog=4096):
        ready.set()
        at = 0
        while True:
            await asyncio.sleep(1 / rate)
            for stream in streams[at : at + group]:
                stream.write(event)
            at = at + group if at + group < len(streams) else 0
