"""Kill -9 of each process in the middle of a replay: every store still holds every play once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from contracts.workers import API, CORE_FOLDS
from infra.operations.replay.run import Outcome, replay
from tests.integration.conftest import RunningStack
from tests.plays import interactions

pytestmark = [pytest.mark.integration, pytest.mark.kafka, pytest.mark.slow]

PLAYS = 12_000
#: Slow enough that the kill happens while plays still come in.
RATE = 3_000.0


def run(stack: RunningStack, prefix: str, posted: list[int], *, warehouse: bool) -> Outcome:
    return replay(
        stack.settings,
        interactions(PLAYS, seed=len(prefix), prefix=prefix),
        api=stack.api,
        token=stack.admin_token,
        collection="faults",
        rate=RATE,
        warehouse=warehouse,
        timeout=120,
        progress=posted.append,
        say=lambda _: None,
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", [*CORE_FOLDS, API.name])
def test_a_killed_process_loses_and_doubles_nothing(kafka_stack: RunningStack, victim: str) -> None:
    posted: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(run, kafka_stack, f"{victim}-", posted, warehouse=False)
        for share in (0.25, 0.6):
            until(lambda share=share: sum(posted) >= PLAYS * share or outcome.done())
            kafka_stack.kill(victim)
            kafka_stack.start(victim)
        result = outcome.result()
    assert result.differences == []
    assert result.accepted == result.distinct > 0.99 * PLAYS


@pytest.mark.timeout(600)
def test_after_all_kills_the_warehouse_agrees_and_a_second_run_doubles_nothing(
    kafka_stack: RunningStack,
) -> None:
    for _ in range(2):
        result = run(kafka_stack, f"{CORE_FOLDS[0]}-", [], warehouse=True)
        assert result.differences == []
        assert result.warehouse is not None
        assert result.warehouse.distinct == result.accepted
        assert result.warehouse.doubled == 0


def until(condition: object, timeout: float = 60.0) -> None:
    """Wait for a condition."""
    assert callable(condition)
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition() and time.monotonic() < deadline:
        pause.wait(0.02)
