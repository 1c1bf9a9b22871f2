"""A worker's reporter deletes old heartbeats when it starts."""

from __future__ import annotations

import time

import pytest

from contracts.heartbeat import Heartbeat, encode
from contracts.settings import Settings
from streams.heartbeat import Reporter, Status

DAY_MS = 86_400_000


class FakeRedis:
    """The hash of heartbeats."""

    def __init__(self, stored: dict[str, bytes]) -> None:
        self.stored = stored

    def hgetall(self, _: str) -> dict[bytes, bytes]:
        return {name.encode(): value for name, value in self.stored.items()}

    def hdel(self, _: str, *names: str) -> None:
        for name in names:
            del self.stored[name]


def beat(name: str, age_ms: int) -> bytes:
    at = int(time.time() * 1000) - age_ms
    return encode(Heartbeat(name=name, pid=1, at=at, state="running"))


def start(monkeypatch: pytest.MonkeyPatch, stored: dict[str, bytes]) -> set[str]:
    """Let a learner's reporter delete what is old; return the names that are left."""
    store = FakeRedis(stored)
    reporter = Reporter(Settings(), "learner", Status())
    monkeypatch.setattr(reporter, "_client", store)
    reporter._forget_gone()
    return set(store.stored)


def test_only_old_heartbeats_of_the_same_worker_are_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ages = {"learner@a": DAY_MS + 60_000, "learner@b": DAY_MS - 60_000, "relay@a": 2 * DAY_MS}
    stored = {name: beat(name, age) for name, age in ages.items()}
    assert start(monkeypatch, stored) == {"learner@b", "relay@a"}


def test_an_unreadable_heartbeat_does_not_end_the_reporter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert start(monkeypatch, {"learner@a": b"{}"}) == {"learner@a"}
