"""Reading the feature store for many listeners at once, from a real Valkey that stops and hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from api.failed_logins import FailedLogins
from api.serving.features import LOST, READ_SECONDS, FeatureReader, ReadShare
from api.serving.nodes import CONNECTIONS
from api.shared_rates import SharedRates
from contracts import redis_client
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from infra.stack.ports import free_ports
from infra.stack.process import wait_until
from infra.stack.valkey import Valkey
from tests.integration.proxy import slow_proxy

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
    await mark(client)
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
        assert time.monotonic() - started < 40 * READ_SECONDS
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


async def mark(client: Redis) -> None:
    """Say that the store holds everything."""
    for partition in range(KEYS.partitions):
        await client.set(KEYS.complete(partition), b"1")


async def test_a_store_100_ms_away_is_read(valkey: Valkey) -> None:
    """Connecting takes longer than a read may; it is done beforehand and not restarted."""
    client: Redis = Redis.from_url(valkey.address, socket_timeout=1.0)
    await mark(client)
    users = [f"far {n}" for n in range(20)]
    for user in users:
        await client.set(KEYS.listener(user), user)
    with slow_proxy(valkey.port, 0.1) as proxy:
        far = valkey.address.replace(f":{valkey.port}/", f":{proxy.port}/")
        store = FeatureReader(client, far, KEYS)
        answers = [await _answer(store, users) for _ in range(40)]
        good = [answer for answer in answers if answer == [user.encode() for user in users]]
        assert len(good) >= 10, "it never gets warm"
        assert await _recovers(store, users) == [user.encode() for user in users]
        proxy.delay = 0.6  # now it is too slow for a list, and that shows
        store.share = ReadShare()
        assert [await _answer(store, users) for _ in range(3)] == [None] * 3
        assert store.share.trouble().startswith("slow: 3 of the latest 3 reads")
        await store.close()
    await client.aclose()


async def _answer(store: FeatureReader, users: list[str]) -> list[bytes | None] | None:
    try:
        return await store.get_many(users)
    except StoreUnavailable:
        await asyncio.sleep(0.1)
        return None


async def test_a_store_that_lost_its_data_calls_nobody_a_stranger(valkey: Valkey) -> None:
    client: Redis = Redis.from_url(valkey.address, socket_timeout=1.0)
    store = FeatureReader(client, valkey.address, KEYS)
    await mark(client)
    await client.set(KEYS.listener("ada"), b"blob")
    assert await _recovers(store, ["ada", "stranger"]) == [b"blob", None]
    await client.flushall()
    assert await store.get_many(["ada", "stranger"]) == [LOST, LOST]
    await mark(client)  # folded again
    assert await store.get_many(["ada", "stranger"]) == [None, None]
    await store.close()
    await client.aclose()


async def _recovers(store: FeatureReader, asked: list[str]) -> list[bytes | None]:
    """Return what is read once the breaker is closed again."""
    assert await asyncio.to_thread(wait_until, lambda: store.available, 90)
    return await store.get_many(asked)


async def test_processes_count_failed_logins_together(valkey: Valkey) -> None:
    keys = Keys(f"t{time.time_ns():x}", 1)
    clients = [redis_client.async_client(valkey.address) for _ in range(2)]
    one, other = (FailedLogins(client, keys, clock=lambda: 1e9) for client in clients)
    ada, bob = {"ada from 6.6.6.6": 3, "address 6.6.6.6": 9}, {"bob from 6.6.6.6": 3}
    attempts = [await one.count(ada) for _ in range(2)]
    assert [attempt.left for attempt in attempts] == [2, 1]
    assert (await other.count(ada)).left == 0
    attempts.append(await one.count(ada))
    assert attempts[-1].left == -1
    for attempt in attempts[1:]:
        await one.take_back(attempt)
    assert (await other.count(ada)).left == 0
    assert (await other.count(bob)).left == 2
    stored = await clients[0].keys(f"{keys.namespace}:*")
    assert len(stored) == 3
    assert not any("ada" in str(key) or "6.6" in str(key) for key in stored)
    assert all([0 < await clients[0].ttl(key) <= 120 for key in stored])
    for client in clients:
        await client.aclose()


async def test_processes_share_the_request_limit_of_a_busy_caller(valkey: Valkey) -> None:
    keys = Keys("rates", 4)
    clients = [Redis.from_url(valkey.address, socket_timeout=1.0) for _ in range(2)]
    one, other = (SharedRates(client, keys, clock=lambda: 1e9) for client in clients)
    used = [one.count("token a", 100) for _ in range(60)]
    assert used == list(range(99, 39, -1))
    assert other.count("token a", 100) == 99  # nothing is exchanged yet
    assert one.count("token b", 100) == 99
    for _ in range(2):  # the first to report learns of the second only the next time
        for each in (one, other):
            each.count("token a", 100)
            await each.exchange()
    # 62 here and 3 there; what each counts from now on comes on top of that.
    assert one.count("token a", 100) == 100 - 63 - 2
    assert other.count("token a", 100) == 100 - 4 - 62
    assert other.count("token b", 100) == 99
    stored = await clients[0].keys(f"{keys.namespace}:*")
    assert len(stored) == 1
    held = await clients[0].hgetall(stored[0])
    assert not any(b"token" in name for name in held)
    assert 0 < await clients[0].ttl(stored[0]) <= 60
    for each in (one, other):
        await each.stop()
    for client in clients:
        await client.aclose()
