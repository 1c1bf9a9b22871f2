"""The commit of the listeners' fold, with each of its steps failing once.

The order: read the fences, write dead letters, apply plays and fence in one script call, publish.
Redis itself is in ``tests/integration``; here each step fails, not a random one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from faust.types import TP

from contracts.errors import BrokerUnavailable, StoreUnavailable
from contracts.events import Submission, encode
from contracts.listener_events import ListenerEvent
from contracts.retries import Backoff
from contracts.settings import Settings
from contracts.topics import Topics
from streams import follow
from streams.decode import Batch, Record
from streams.errors import PositionLost
from streams.feature_store import Applied
from streams.follow import FaustFollower
from streams.listeners import ListenersFold
from streams.worker import Worker
from tests.streams.fakes import FakeLetters, Killed, Steps
from tests.streams.plays import submission

PLAYS = Topics("segue").plays
TP0 = TP(PLAYS, 0)
LOGS: dict[str, str] = {PLAYS: "log", Topics("segue").feedback: "log of feedback"}
VALUES = [encode(submission("ada", (n, n))) if n != 3 else b"{" for n in range(7)]
STEPS = (
    "positions",
    "before the letters",
    "after the letters",
    "before the script",
    "after the script",
    "published",
)


class FakeFeatures:
    """Blobs and fence that move together; what :class:`FeatureStore` does in one script call."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.fence = 0
        self.applied: list[int] = []

    async def state(self, log_ids: list[str]) -> tuple[list[dict[int, int]], bool]:
        self.steps.reach("positions")
        return [{0: self.fence if log_id == "log" else 0} for log_id in log_ids], True

    async def apply_plays(self, _log_id: str, batch: Batch[Submission]) -> Applied:
        self.steps.reach("before the script")
        if self.fence < batch.start:
            raise PositionLost("the store lost data")
        fresh = batch.after(self.fence - 1)
        self.applied += [offset for offset, _ in fresh.messages]
        self.fence = max(self.fence, batch.last + 1)
        self.steps.reach("after the script")
        return Applied(plays=len(fresh.messages))


class House:
    """The stores of the fold; they outlive its process."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, kafka="127.0.0.1:1", partitions=1)
        self.steps = Steps()
        self.features = FakeFeatures(self.steps)
        self.letters = FakeLetters(self.steps)

    async def run(self) -> FaustFollower:
        """Start a process, read the log from where the fold stands, two messages a run."""
        worker = Worker(self.settings, "listeners")
        fold = ListenersFold(worker, LOGS)
        as_store: Any = self.features
        as_letters: Any = self.letters
        fold._store, fold._letters = as_store, as_letters
        await fold._client.aclose()

        async def publish(events: list[ListenerEvent]) -> None:
            self.steps.reach("published")

        fold._publish = publish  # type: ignore[method-assign]
        follower = FaustFollower(worker, fold, "segue.test", LOGS)
        follower._known = await follower._patiently(fold.positions)
        while (at := follower._known[TP0]) < len(VALUES):
            records = [Record(n, VALUES[n]) for n in range(at, min(at + 2, len(VALUES)))]
            await follower._apply_run(TP0, records)
        return follower


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(follow, "PAUSES", Backoff(0.0, 0.0))
    return House(tmp_path)


def _is_whole(house: House) -> None:
    assert house.features.applied == [0, 1, 2, 4, 5, 6]
    assert set(house.letters.found) == {(str(PLAYS), 0, 3)}
    assert house.features.fence == len(VALUES)


async def test_letters_come_before_the_script_and_events_after_it(house: House) -> None:
    follower = await house.run()
    _is_whole(house)
    with_letter = house.steps.done.index("before the letters")
    assert house.steps.done[with_letter : with_letter + 5] == [
        "before the letters", "after the letters", "before the script", "after the script",
        "published",
    ]  # fmt: skip
    assert follower.fold.durable()[TP0] == len(VALUES)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_and_started_again(house: House, step: str) -> None:
    house.steps.fails = step
    with pytest.raises(Killed):
        await house.run()
    assert not house.steps.fails, "the step was not reached"
    await house.run()
    _is_whole(house)


@pytest.mark.parametrize("step", ["positions", "before the script", "after the script"])
async def test_a_store_that_is_away_is_waited_for(house: House, step: str) -> None:
    house.steps.fails, house.steps.error = step, StoreUnavailable("away")
    await house.run()
    _is_whole(house)


@pytest.mark.parametrize("step", ["before the letters", "after the letters"])
async def test_nothing_moves_past_a_letter_that_cannot_be_written(house: House, step: str) -> None:
    house.steps.fails, house.steps.error = step, BrokerUnavailable("away")
    with pytest.raises(BrokerUnavailable):
        await house.run()
    assert house.features.fence == 2
    await house.run()
    _is_whole(house)


async def test_a_store_that_fell_back_is_not_written_past(house: House) -> None:
    follower = await house.run()
    house.features.fence = 1
    with pytest.raises(PositionLost):
        await follower._apply_run(TP0, [Record(len(VALUES), VALUES[0])])
    with pytest.raises(PositionLost, match="fell back to 1"):
        await follower.fold.tick()


async def test_messages_that_were_applied_are_passed_over(house: House) -> None:
    """A batch was in flight while reading was set back."""
    follower = await house.run()
    await follower._apply_run(TP0, [Record(n, VALUES[n]) for n in range(5, 7)])
    _is_whole(house)
