"""A play is followed until lists can reflect it: one at a time, at a bounded rate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.core import Metric
from redis.exceptions import ConnectionError as RedisGone

from api import freshness
from api.freshness import FEATURES, MODEL, Freshness, Place, parts_of
from contracts.features import Keys


class Message:
    """A delivery report."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self._at = topic, partition, offset

    def topic(self) -> str:
        return self._at[0]

    def partition(self) -> int:
        return self._at[1]

    def offset(self) -> int:
        return self._at[2]


@dataclass
class World:
    """Two parts that have applied all offsets below a number, and a clock that is set by hand."""

    now: float = 100.0
    log_id: str = "log"
    applied: dict[str, int] = field(default_factory=lambda: {FEATURES: 0, MODEL: 0})
    looks: list[tuple[str, Place]] = field(default_factory=list)

    def made(self, every: float = 10.0) -> Freshness:
        def look(part: str) -> freshness.Look:
            async def applied(place: Place) -> bool:
                self.looks.append((part, place))
                return place.offset < self.applied[part]

            return applied

        parts = {part: look(part) for part in self.applied}
        return Freshness(every, "plays", lambda: self.log_id, parts, lambda: self.now)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(freshness, "_SHORTEST", 0.0)
    monkeypatch.setattr(freshness, "_LONGEST", 0.0)
    return World()


def play(offset: int, topic: str = "plays") -> Any:
    return Message(topic, 3, offset)


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def samples(families: Any) -> dict[tuple[str, ...], float]:
    found: list[Metric] = list(families)
    return {
        (s.name.removeprefix("segue_play_freshness_"), *s.labels.values()): s.value
        for family in found
        for s in family.samples
    }


async def test_each_part_is_timed_from_the_request(world: World) -> None:
    fresh = world.made()
    fresh.saw(100.0, play(7))
    world.now, world.applied[FEATURES] = 100.2, 8
    await turn()
    seen = samples(fresh.collect())
    assert seen["seconds_count", FEATURES] == 1
    assert seen["seconds_sum", FEATURES] == pytest.approx(0.2)
    assert (seen["seconds_bucket", FEATURES, "0.1"], seen["seconds_bucket", FEATURES, "0.25"]) == (
        0, 1,
    )  # fmt: skip
    assert (seen["seconds_count", MODEL], seen["waiting_seconds", FEATURES]) == (0, 0)
    world.now = 145.0
    assert samples(fresh.collect())["waiting_seconds", MODEL] == pytest.approx(45.0)
    world.applied[MODEL] = 8
    await turn()
    seen = samples(fresh.collect())
    assert seen["seconds_sum", MODEL] == pytest.approx(45.0)
    assert seen["waiting_seconds", MODEL] == 0
    assert {place for _, place in world.looks} == {Place("log", 3, 7)}


async def test_one_play_in_so_many_seconds_and_only_plays(world: World) -> None:
    world.applied = {FEATURES: 1_000}
    fresh = world.made(every=10.0)
    for offset in range(50):
        fresh.saw(world.now, play(offset, "feedback"))
        fresh.saw(world.now, play(offset))
        await turn()
        world.now += 1.0
    assert [place.offset for _, place in world.looks] == [0, 10, 20, 30, 40]


async def test_none_is_followed_where_it_is_turned_off(world: World) -> None:
    fresh = world.made(every=0.0)
    fresh.saw(1e9, play(1))
    await turn()
    assert not world.looks
    assert list(fresh.collect()) == []


async def test_a_replaced_log_ends_the_watch_and_an_unknown_one_is_waited_for(
    world: World,
) -> None:
    world.log_id, world.applied = "", {FEATURES: 0}
    fresh = world.made(every=10.0)
    fresh.saw(100.0, play(500))
    await turn()
    assert not world.looks
    world.log_id = "log"
    await turn()
    assert world.looks
    world.log_id = "another"
    await turn()
    looks = len(world.looks)
    await turn()
    assert len(world.looks) == looks
    seen = samples(fresh.collect())
    assert (seen["seconds_count", FEATURES], seen["waiting_seconds", FEATURES]) == (0, 0)
    world.now, world.applied[FEATURES] = 111.0, 1
    fresh.saw(111.0, play(0))
    await turn()
    assert samples(fresh.collect())["seconds_count", FEATURES] == 1


async def test_stop_ends_a_watch(world: World) -> None:
    fresh = world.made()
    fresh.saw(100.0, play(1))
    await turn()
    await fresh.stop()
    assert not fresh._tasks


class Fences:
    """A feature store that holds fences only."""

    def __init__(self, fences: dict[str, dict[str, bytes]]) -> None:
        self.fences: dict[str, dict[str, bytes]] | None = fences

    async def hget(self, key: str, name: str) -> bytes | None:
        if self.fences is None:
            raise RedisGone
        return self.fences.get(key, {}).get(name)


async def test_parts_are_read_where_lists_read_them() -> None:
    redis = Fences({"{segue.3}:fence": {"log": b"7"}})
    model: Any = SimpleNamespace(reader=None)
    parts = parts_of(redis, Keys("segue", 4), model)  # type: ignore[arg-type]
    assert await parts[FEATURES](Place("log", 3, 7))
    assert not await parts[FEATURES](Place("log", 3, 8))
    assert not await parts[FEATURES](Place("older", 3, 0))
    assert not await parts[FEATURES](Place("log", 2, 0))
    redis.fences = None
    assert not await parts[FEATURES](Place("log", 3, 7))
    assert not await parts[MODEL](Place("log", 3, 0))
    model.reader = SimpleNamespace(offsets={("log", 3): 7})
    assert await parts[MODEL](Place("log", 3, 7))
    assert not await parts[MODEL](Place("log", 3, 8))
    assert not await parts[MODEL](Place("log", 1, 0))
