"""The feature reader logs once why it cannot connect, and keeps trying."""

from __future__ import annotations

import asyncio
import logging

import pytest
from redis.asyncio import Redis

from api.serving import nodes
from api.serving.features import FeatureReader
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from infra.stack.ports import LOOPBACK
from tests.compat.test_redis import store
from tests.tcp_server import tcp_server


async def test_a_refused_password_is_in_the_log_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while await reader.read(65_536):
            asked += 1
            writer.write(b"-WRONGPASS invalid username-password pair\r\n")

    monkeypatch.setattr(nodes, "PAUSE_SECONDS", 0.01)
    async with tcp_server(refuse) as port:
        url = f"redis://:secret@{LOOPBACK}:{port}/0"
        reader = FeatureReader(Redis.from_url(url), url, Keys("segue", 1))
        with caplog.at_level(logging.WARNING, "api.serving.nodes"):
            with pytest.raises(StoreUnavailable):
                await reader.get_many(["ada"])
            while asked < 2 * nodes.CONNECTIONS + 2:
                await asyncio.sleep(0.01)
        await reader.close()
    said = [r.getMessage() for r in caplog.records if "cannot connect" in r.getMessage()]
    assert len(said) == 1
    assert "AuthenticationError" in said[0]
    assert "secret" not in caplog.text


async def test_a_read_that_fails_after_its_node_was_closed_is_not_retried() -> None:
    """A Cluster drops a node while a batch is read from it; the node never answers again."""
    async with store() as (reader, served):
        await reader.get_many(["ada"])
        (node,) = reader._nodes.all()
        served.silent = True
        reading = asyncio.ensure_future(node.ask(b"*2\r\n$4\r\nMGET\r\n$1\r\nx\r\n", 1))
        while len(served.arrived) < 2:
            await asyncio.sleep(0.01)
        await node.close()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await asyncio.wait_for(asyncio.gather(*node._connecting), 5)
        assert not node._connecting
        assert node._ready.empty()
