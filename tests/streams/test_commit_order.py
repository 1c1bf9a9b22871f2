"""The commit of a sink, with each of its steps failing once: nothing is lost, nothing is doubled.

The order: compare the log with the one the offsets belong to, write dead letters, write rows and
fence in one transaction, move on. Real kills on real stores are in ``tests/integration``; here each
step fails, not a random one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import BrokerUnavailable, StoreUnavailable
from contracts.events import encode
from contracts.retries import Backoff
from contracts.settings import Settings
from streams import beginning, worker
from streams.beginning import LogCutOff
from streams.consume import Follower
from streams.errors import LogChanged
from streams.worker import Worker
from tests.streams.fakes import FakeLetters, FakeLog, FakeStore, FakeWatch, Killed, Steps
from tests.streams.plays import submission

STEPS = (
    "positions",
    "the log is the same",
    "before the letters",
    "after the letters",
    "before the transaction",
    "inside the transaction",
    "after the transaction",
)
#: Two partitions; one message of each cannot be read.
VALUES = {
    0: [encode(submission("ada", (n, n))) if n != 3 else b"{" for n in range(7)],
    1: [encode(submission("eve", (n, n))) if n != 0 else b"" for n in range(4)],
}
ROWS = sorted(
    {(p, n) for p, values in VALUES.items() for n in range(len(values))} - {(0, 3), (1, 0)}
)
LETTERS = {("segue.plays", 0, 3), ("segue.plays", 1, 0)}


class House:
    """The stores of a sink; they outlive its process."""

    def __init__(self, home: Path, steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = Settings(home=home, kafka="127.0.0.1:1", partitions=2)
        self.steps = steps
        self.store = FakeStore(steps, partitions=2)
        self.letters = FakeLetters(steps)
        self.begins = {0: 0, 1: 0}
        self.worker = Worker(self.settings, "lake-sink")
        log = FakeLog(VALUES, at_end=lambda: self.worker.stopping.set())
        monkeypatch.setattr("contracts.kafka_client.Consumer", log.consumer)
        monkeypatch.setattr(beginning, "begin_offsets", lambda *_: dict(self.begins))
        monkeypatch.setattr("streams.decode._check_user", lambda *_: None)  # any partition will do
        monkeypatch.setattr(worker, "PAUSES", Backoff(0.0, 0.0))

    def run(self) -> Follower[Any]:
        """Start a process and let it follow the log to its end."""
        self.worker = Worker(self.settings, "lake-sink")
        follower = Follower[Any](
            self.worker, self.worker.topics.plays, "log", self.store, seconds=0.0, rows=3
        )
        follower.watch = FakeWatch(self.steps)  # type: ignore[assignment]
        follower.letters = self.letters  # type: ignore[assignment]
        follower.run()
        return follower


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    return House(tmp_path, Steps(), monkeypatch)


def _is_whole(house: House) -> None:
    assert sorted(house.store.rows) == ROWS
    assert set(house.letters.found) == LETTERS
    assert house.store.fence == {0: 7, 1: 4}


def test_letters_come_before_rows_and_the_log_is_compared_before_both(house: House) -> None:
    follower = house.run()
    _is_whole(house)
    assert house.steps.done[:4] == [
        "positions", "the log is the same", "before the letters", "after the letters",
    ]  # fmt: skip
    for step, done in enumerate(house.steps.done):
        if done == "before the transaction":
            assert house.steps.done[step - 1] in {"after the letters", "the log is the same"}
    assert follower.worker.status.offsets == {"segue.plays:0": 7, "segue.plays:1": 4}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_and_started_again(house: House, step: str) -> None:
    house.steps.fails = step
    with pytest.raises(Killed):
        house.run()
    assert not house.steps.fails, "the step was not reached"
    house.run()
    _is_whole(house)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("positions", StoreUnavailable("away")),
        ("the log is the same", BrokerUnavailable("away")),
        ("before the transaction", StoreUnavailable("away")),
        ("inside the transaction", StoreUnavailable("away")),
        ("after the transaction", StoreUnavailable("nobody knows whether it was written")),
    ],
)
def test_a_store_that_is_away_is_waited_for(house: House, step: str, error: Exception) -> None:
    house.steps.fails, house.steps.error = step, error
    house.run()
    _is_whole(house)


@pytest.mark.parametrize("step", ["before the letters", "after the letters"])
def test_nothing_moves_past_a_letter_that_cannot_be_written(house: House, step: str) -> None:
    house.steps.fails, house.steps.error = step, BrokerUnavailable("away")
    with pytest.raises(BrokerUnavailable):
        house.run()
    assert house.store.fence == {0: 0, 1: 0}
    house.run()
    _is_whole(house)


def test_another_log_ends_the_process_before_anything_is_written(house: House) -> None:
    house.steps.fails, house.steps.error = "the log is the same", LogChanged("another log")
    with pytest.raises(LogChanged):
        house.run()
    assert not house.store.rows
    assert not house.letters.found


def test_a_log_that_begins_after_the_fence_is_refused(house: House) -> None:
    house.begins = {0: 2, 1: 0}
    with pytest.raises(LogCutOff, match="lake-sink needs offsets 0 to 1 of partition 0, but Kafka"):
        house.run()
    assert not house.store.rows
    house.settings = replace(house.settings, accept_cut_log=True)
    house.run()
    assert sorted(house.store.rows) == [row for row in ROWS if row not in {(0, 0), (0, 1)}]
    assert house.store.fence == {0: 7, 1: 4}


def test_a_log_that_begins_at_the_fence_is_whole(house: House) -> None:
    house.store.fence = {0: 2, 1: 0}
    house.begins = {0: 2, 1: 0}
    house.run()
    assert sorted(house.store.rows) == [row for row in ROWS if row not in {(0, 0), (0, 1)}]
