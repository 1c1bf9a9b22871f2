"""A broker that does not know yet that it leads, and learns it between two requests of a producer.

It is a proxy in front of a real broker. It refuses one request with NOT_LEADER_OR_FOLLOWER, as such
a broker does, and forwards everything else.
docs/adr/0065-only-an-offset-acknowledges.md has the reason.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.stack.apache_kafka import ApacheKafka
from infra.stack.ports import LOOPBACK, free_ports
from tests.tcp_server import in_thread

_PRODUCE = 0
_NOT_LEADER = 6
#: How long the refusal waits for a second request, seconds.
_SECOND = 1.0


class _Broker(ApacheKafka):
    """A broker whose clients connect to the proxy."""

    reached_at = 0

    def _settings(self) -> dict[str, object]:
        advertised = f"PLAINTEXT://{self.host}:{self.reached_at}"
        return {**super()._settings(), "advertised.listeners": advertised}


class YoungLeader:
    """The proxy.

    Attributes
    ----------
    address
        Where clients connect.
    refused
        How many requests it has refused.
    pipelined
        How many of those had another request of the same producer right behind them.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.address = ""
        self.refused = self.pipelined = 0
        self._refuses = False

    def refuse(self) -> None:
        """Refuse the next request with messages, and no other."""
        self._refuses = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        behind_reader, behind = await asyncio.open_connection(LOOPBACK, self._port)
        answers = asyncio.create_task(_answers(behind_reader, writer))
        try:
            while True:
                request = await _frame(reader)
                if self._refuses and _key(request) == _PRODUCE:
                    self._refuses = False
                    self.refused += 1
                    second = await _in_time(reader)
                    self.pipelined += second is not None
                    _send(writer, _refusal(request))
                    if second is None:
                        continue
                    request = second
                _send(behind, request)
        except asyncio.IncompleteReadError:
            return
        finally:
            answers.cancel()
            behind.transport.abort()


@contextmanager
def young_leader(folder: Path) -> Iterator[YoungLeader]:
    """Run a broker and the proxy in front of it."""
    broker = _Broker(folder, *free_ports(2))
    proxy = YoungLeader(broker.port)
    with in_thread(proxy.serve) as broker.reached_at:
        proxy.address = f"{broker.host}:{broker.reached_at}"
        broker.start()
        try:
            yield proxy
        finally:
            broker.stop()


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            _send(writer, await _frame(reader))
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


async def _in_time(reader: asyncio.StreamReader) -> bytes | None:
    waiting = asyncio.ensure_future(_frame(reader))
    done, _ = await asyncio.wait([waiting], timeout=_SECOND)
    if not done:
        waiting.cancel()  # it has read nothing: requests come whole
        return None
    return waiting.result()


def _send(writer: asyncio.StreamWriter, frame: bytes) -> None:
    writer.write(struct.pack(">i", len(frame)) + frame)


def _key(request: bytes) -> int:
    return int.from_bytes(request[:2], "big")


def _refusal(request: bytes) -> bytes:
    """Answer a request with messages for one partition (Produce, versions 9 to 12)."""
    _, version, correlation, name = struct.unpack_from(">hhih", request)
    assert 9 <= version <= 12, version
    at = 10 + name + 1 + 1 + 2 + 4  # client id, tags, no transactional id, acks, timeout
    assert request[at] == 2, "one topic"
    topic = request[at + 1 : at + 1 + request[at + 1]]  # with its length, as the answer has it
    at += 1 + len(topic)
    assert request[at] == 2, "one partition"
    (partition,) = struct.unpack_from(">i", request, at + 1)
    return (
        struct.pack(">i", correlation)
        + b"\0\2"
        + topic
        + b"\2"
        + struct.pack(">ihqqq", partition, _NOT_LEADER, -1, -1, -1)
        + b"\1\0\0\0"  # no errors of records, no message, tags of the partition and of the topic
        + struct.pack(">i", 0)
        + b"\0"
    )
