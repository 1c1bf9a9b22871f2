"""Pauses between attempts, and how tenacity asks for them."""

from __future__ import annotations

import random

import pytest
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from contracts.retries import Backoff, TryAgain


@pytest.mark.parametrize(
    ("failures", "ceiling"), [(1, 1.0), (2, 2.0), (4, 8.0), (9, 10.0), (5000, 10.0)]
)
def test_pauses_grow_with_jitter_and_are_bounded(failures: int, ceiling: float) -> None:
    backoff = Backoff(1.0, 10.0, rng=random.Random(1))
    pauses = {backoff.pause(failures) for _ in range(50)}
    assert all(ceiling / 2 <= pause <= ceiling for pause in pauses)
    assert len(pauses) > 10


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(None, 0.5, 1.0), (7.0, 7.0, 7.0), (90.0, 30.0, 30.0)]
)
def test_what_the_other_side_asks_for_is_kept_within_bounds(
    asked: float | None, least: float, most: float
) -> None:
    slept: list[float] = []

    def refuse() -> None:
        raise TryAgain("busy", "429", asked)

    call = Retrying(
        retry=retry_if_exception_type(TryAgain),
        stop=stop_after_attempt(2),
        wait=Backoff(1.0, 10.0, most_asked=30.0),
        sleep=slept.append,
        reraise=True,
    )
    with pytest.raises(TryAgain, match="busy"):
        call(refuse)
    (pause,) = slept
    assert least <= pause <= most
