"""Reading the feature store for many listeners at once, from a real Valkey that stops and hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from api.serving.features import CONNECTIONS, READ_SECONDS, FeatureReader
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from infra.stack.ports import free_ports
from infra.stack.process import wait_until
from infra.stack.valkey import Valkey

pytestmark = pytest.mark.integration
KEYS = Keys("reads", 4)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"), free_ports(1)[0])
    server.start()
    yield server
    server.stop()


async def test_many_are_read_in_their_order_whatever_becomes_of_the_store(valkey: Valkey) -> None:
    client: Redis = Redis.from_url(valkey.address, socket_timeout=1.0)
    store = FeatureReader(client, valkey.address, KEYS)
    users = [f"user {n}" for n in range(40)]
    for user in users:
        await client.set(KEYS.listener(user), f"blob of {user}")
    asked = [*users, "stranger", "user 3"]
    expected = [f"blob of {u}".encode() for u in users] + [None, b"blob of user 3"]
    found = await asyncio.gather(*(store.get_many(asked) for _ in range(10)))
    assert found == [expected] * 10
    assert await store.get("user 7") == b"blob of user 7"
    assert await store.get("stranger") is None
    assert await store.get_many([]) == []

    pid = int((await client.info("server"))["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        several = [store.get_many(asked) for _ in range(2 * CONNECTIONS)]
        answers = await asyncio.gather(*several, return_exceptions=True)
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        assert time.monotonic() - started < 10 * READ_SECONDS
        with pytest.raises(StoreUnavailable, match="a moment ago"):
            await store.get_many(asked)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert await _recovers(store, asked) == expected

    valkey.kill()
    with pytest.raises(StoreUnavailable):
        await store.get_many(asked)
    valkey.start()
    assert await _recovers(store, asked) == expected
    # The connections that the kill closed are noticed before they are used.
    assert await asyncio.gather(*(store.get_many(asked) for _ in range(4))) == [expected] * 4
    await client.aclose()
    async with Redis.from_url(valkey.address) as another:
        assert int((await another.info("clients"))["connected_clients"]) < 10
    await store.close()


async def _recovers(store: FeatureReader, asked: list[str]) -> list[bytes | None]:
    """Return what is read once the breaker is closed again."""
    assert await asyncio.to_thread(wait_until, lambda: store.breaker.closed, 10)
    return await store.get_many(asked)
