"""Waiting: pace, back-off, Retry-After, the breaker."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.collectors.pace import Pace
from batch.collectors.policy import retry_after
from contracts.breaker import Breaker


class FakeTime:
    """A clock that moves only while the code sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.text(max_size=40))
def test_any_retry_after_is_read_or_passed_over(text: str) -> None:
    wait = retry_after({"retry-after": text}, 0.0)
    assert wait is None or wait >= 0


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        ("9" * 50, None),
    ],
)
def test_retry_after_as_seconds_and_as_a_date(text: str, wait: float | None) -> None:
    assert retry_after({"retry-after": text}, 1_445_412_480.0) == wait


async def test_slots_are_evenly_spaced_for_all_tasks() -> None:
    clock = FakeTime()
    pace, taken = Pace(4.0, clock, clock.sleep), []

    async def task() -> None:
        for _ in range(5):
            await pace.slot()
            taken.append(clock.now)

    await asyncio.gather(task(), task())
    assert [b - a for a, b in itertools.pairwise(taken)] == pytest.approx([0.25] * 9)


async def test_a_pause_holds_everybody() -> None:
    clock = FakeTime()
    pace = Pace(10.0, clock, clock.sleep)
    await pace.slot()
    pace.pause(30.0)
    await pace.slot()
    assert clock.now == pytest.approx(1030.0)


def test_the_breaker_opens_rests_tries_once_and_closes() -> None:
    clock = FakeTime()
    breaker = Breaker(60.0, after=3, clock=clock)
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()
    for _ in range(2):
        breaker.failed()
    assert breaker.rests_for() == 0
    breaker.failed()
    assert breaker.rests_for() == 60
    clock.now += 61
    assert breaker.rests_for() == 0
    breaker.failed()  # the trial
    assert breaker.rests_for() == 60
    assert breaker.times_opened == 2
    clock.now += 61
    breaker.succeeded()
    breaker.failed()
    assert breaker.rests_for() == 0
