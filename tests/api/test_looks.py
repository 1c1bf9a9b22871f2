"""The look at the broker, without a broker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

import api.looks
from api.looks import BrokerLook
from contracts.settings import Settings
from contracts.topics import Topics

SETTINGS = Settings()


class Producer:
    """Both producers as one; it lists the calls in order."""

    def __init__(self, done: list[str], topics: set[str]) -> None:
        self.done = done
        self.topics = topics

    def poll(self) -> None:
        self.done.append("poll")

    def metadata(self, timeout: float) -> Any:
        return SimpleNamespace(topics=self.topics)

    def revive(self) -> None:
        self.done.append("revive")


async def test_topics_that_are_gone_are_made_and_only_then_producers_are_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    topics: set[str] = set()
    monkeypatch.setattr(api.looks, "ensure_topics", lambda *_: done.append("ensure"))
    producer = cast(Any, Producer(done, topics))
    look = BrokerLook(producer, producer, SETTINGS)
    try:
        assert await look.look() == "the topics are gone; they are being created"
        assert done == ["poll", "poll", "ensure"]
        topics.add(Topics(SETTINGS.namespace).plays)
        assert await look.look() == "ok"
        assert await look.look() == "ok"
    finally:
        look.close()
    found = ["poll", "poll", "revive", "revive"]
    assert done[3:] == [*found[:2], "ensure", *found[2:], *found]
