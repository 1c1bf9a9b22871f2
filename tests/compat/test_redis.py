"""Parts of redis-py that `api.serving.nodes` uses below its client, by what the server sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hiredis
import pytest
from redis.asyncio import Redis

from api.serving.features import FeatureReader
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.ids import partition_of
from infra.stack.ports import LOOPBACK
from tests.tcp_server import tcp_server

KEYS = Keys("compat", 4)
#: In three partitions of four; the value of one is not UTF-8.
USERS = {"ada": b"\xff\xfe raw", "bob": b"", "eve": b"12\r\n3"}


class Server:
    """Speaks Redis' protocol and keeps what arrives together."""

    def __init__(self) -> None:
        self.arrived: list[list[list[bytes]]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        parser = hiredis.Reader()
        while data := await reader.read(1 << 16):
            parser.feed(data)
            commands: list[list[bytes]] = []
            while (command := parser.gets()) is not False:
                commands.append(command)
            reads = [command for command in commands if command[0] == b"MGET"]
            if reads:
                self.arrived.append(reads)
            if not (reads and self.silent):
                writer.write(b"".join(self._reply(command) for command in commands))

    def _reply(self, command: list[bytes]) -> bytes:
        if command[0] == b"HELLO":
            return b"%1\r\n$5\r\nproto\r\n:3\r\n" if command[1:2] == [b"3"] else b"*0\r\n"
        if command[0] != b"MGET":
            return b"+OK\r\n"
        values = {KEYS.listener(user).encode(): value for user, value in USERS.items()}
        values |= {KEYS.complete(p).encode(): b"1" for p in range(KEYS.partitions)}
        found = [values.get(key) for key in command[1:]]
        bulks = [b"$-1\r\n" if v is None else b"$%d\r\n%b\r\n" % (len(v), v) for v in found]
        return b"*%d\r\n%b" % (len(bulks), b"".join(bulks))


@asynccontextmanager
async def store() -> AsyncIterator[tuple[FeatureReader, Server]]:
    served = Server()
    async with tcp_server(served.serve) as port:
        url = f"redis://{LOOPBACK}:{port}/0"
        features = FeatureReader(Redis.from_url(url), url, KEYS)
        try:
            yield features, served
        finally:
            await features.close()


async def test_one_write_reads_every_partition_and_bytes_stay_bytes() -> None:
    assert len({partition_of(user, KEYS.partitions) for user in USERS}) > 1
    async with store() as (features, served):
        found = await features.get_many([*USERS, "nobody"])
        assert found == [*USERS.values(), None]
        (together,) = served.arrived
        partitions = {partition_of(user, KEYS.partitions) for user in [*USERS, "nobody"]}
        assert len(together) == len(partitions)


async def test_a_connection_the_server_closed_is_made_again() -> None:
    async with store() as (features, served):
        await features.get_many(["ada"])
        for writer in served.writers:
            writer.close()
        await asyncio.sleep(0.05)
        assert await features.get_many(["ada"]) == [USERS["ada"]]
        assert await features.get_many(["bob"]) == [USERS["bob"]]


async def test_an_answer_that_comes_late_is_not_taken_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.serving.nodes.OPEN_SECONDS", 0.0)
    async with store() as (features, served):
        served.silent = True
        with pytest.raises(StoreUnavailable):
            await features.get_many(["ada"])
        served.silent = False
        assert await features.get_many(["bob"]) == [USERS["bob"]]
