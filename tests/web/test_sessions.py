"""Sessions are read together, so that all tabs can come back at once."""

from __future__ import annotations

import asyncio

import pytest

from contracts.errors import StoreUnavailable
from contracts.features import Keys
from tests.web.doubles import MemoryRedis
from web.sessions import Session, Sessions


@pytest.fixture
def redis() -> MemoryRedis:
    return MemoryRedis()


@pytest.fixture
def sessions(redis: MemoryRedis) -> Sessions:
    return Sessions(redis, Keys("segue", 4))  # type: ignore[arg-type]


def session(user: str) -> Session:
    return Session(token="t", user=user, roles=["listener"], csrf="", expires=2e9)


async def test_a_thousand_tabs_at_once_are_a_few_reads(
    sessions: Sessions, redis: MemoryRedis
) -> None:
    secrets = [await sessions.make(session(f"user-{i}")) for i in range(200)]
    asked = [secrets[i % 200] for i in range(1000)]
    found = await asyncio.gather(*map(sessions.find, asked), sessions.find("unknown"))
    assert [f.user for f in found[:-1] if f] == [f"user-{i % 200}" for i in range(1000)]
    assert found[-1] is None
    assert redis.reads <= 3
    assert await sessions.find(secrets[3])  # and later ones


async def test_a_late_read_is_tried_once_more(sessions: Sessions, redis: MemoryRedis) -> None:
    secret = await sessions.make(session("ada"))
    redis.late = 1
    assert await sessions.find(secret)
    redis.late = 2
    with pytest.raises(StoreUnavailable):
        await sessions.find(secret)
    assert await sessions.find(secret)


async def test_whoever_leaves_keeps_nobody_waiting(sessions: Sessions, redis: MemoryRedis) -> None:
    secret = await sessions.make(session("ada"))
    first, second = (asyncio.create_task(sessions.find(secret)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    found = await second
    assert found
    redis.down = True
    answers = await asyncio.gather(
        *(sessions.find(secret) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
