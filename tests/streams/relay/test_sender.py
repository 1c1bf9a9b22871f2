"""What a relay does with a batch that the service refuses, and when it has to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.events import Play
from contracts.settings import Settings
from streams.relay.queue import DueRelay, Waiting
from streams.relay.sender import Sender
from streams.relay.service import Answer, BatchRefused
from streams.worker import Stopped, Worker
from tests.streams.plays import submission


class Refusing:
    """A service that refuses each batch, and a worker that has to stop after some."""

    most = 100

    def __init__(self, worker: Worker, stop_after: int) -> None:
        self.worker = worker
        self.stop_after = stop_after
        self.sent: list[int] = []

    def account(self, secret: str) -> str:
        return "ada"

    def send(self, secret: str, plays: list[Play]) -> Answer:
        self.sent.append(len(plays))
        if len(self.sent) == self.stop_after:
            self.worker.stopping.set()
        raise BatchRefused("no")


@pytest.mark.parametrize(("stop_after", "sent"), [(3, [8, 4, 2]), (1, [8])])
def test_a_refused_batch_is_halved_until_the_worker_has_to_stop(
    tmp_path: Path, stop_after: int, sent: list[int]
) -> None:
    worker = Worker(Settings(home=tmp_path), "relay")
    service = Refusing(worker, stop_after)
    store: Any = None  # nothing is written: no play is known to be refused by itself yet
    sender = Sender(worker, store, {}, 0.0)
    relay = DueRelay("ada", "listenbrainz", "secret", "ada", 0)
    waiting = [
        Waiting(play.event_id, play, play.event_id, told=False)
        for play in submission("ada", *((n, n) for n in range(8))).plays
    ]
    with pytest.raises(Stopped):
        sender._send(relay, service, waiting)
    assert service.sent == sent
