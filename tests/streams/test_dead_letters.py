"""Dead letters that cannot be written."""

from __future__ import annotations

from typing import Any

import pytest

import streams.dead_letters
from contracts import kafka_client
from contracts.errors import BrokerUnavailable, InvalidEvent
from contracts.settings import Settings
from streams.dead_letters import DeadLetters
from streams.decode import Record, Rejected


def test_a_letter_that_was_not_acknowledged_is_tried_again_with_another_producer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams.dead_letters, "_TIMEOUT", 0.3)
    made: list[Any] = []
    real = kafka_client.producer

    def counting(*arguments: Any) -> Any:
        made.append(real(*arguments))
        return made[-1]

    monkeypatch.setattr(kafka_client, "producer", counting)
    letters = DeadLetters(Settings(kafka="127.0.0.1:1"), "test")
    refused = [Rejected(Record(7, b"?"), InvalidEvent("malformed", "not JSON"))]
    for _ in range(2):
        with pytest.raises(BrokerUnavailable, match="dead letters cannot be written"):
            letters.send("plays", 0, refused)
    assert len(made) == 2
