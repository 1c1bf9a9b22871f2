"""A replay proves that every store holds every play once, and notices where one does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis

from contracts.features import Keys
from infra.operations import interactions as files
from infra.operations.interactions import InteractionLog
from infra.operations.replay.post import Posted, expected_ids
from infra.operations.replay.reconcile import Mark, mark
from infra.operations.replay.run import Outcome, count, replay
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack
from tests.plays import interactions

pytestmark = pytest.mark.integration


def run(stack: RunningStack, data: InteractionLog, *, warehouse: bool = False) -> Outcome:
    return replay(
        stack.settings,
        data,
        api=stack.api,
        token=stack.admin_token,
        collection="test",
        rate=None,
        warehouse=warehouse,
        timeout=120,
        progress=lambda _: None,
        say=lambda _: None,
    )


@pytest.mark.timeout(600)
def test_twice_the_same_file_doubles_nothing(stack: RunningStack) -> None:
    data = interactions(3_000, prefix="twice-")
    first = run(stack, data)
    assert first.differences == []
    assert first.accepted == first.distinct
    second = run(stack, data, warehouse=True)
    assert second.differences == []
    assert second.kafka.deliveries == first.kafka.deliveries == second.plays
    assert second.warehouse is not None
    assert second.warehouse.distinct == second.distinct
    assert second.history.doubled == 0


@pytest.mark.timeout(600)
def test_a_play_that_is_gone_is_noticed_in_the_store_that_lost_it(stack: RunningStack) -> None:
    data = interactions(500, prefix="lost-")
    start = mark(stack.settings)
    posted = run(stack, data)
    assert posted.differences == []
    user = data.users[0]
    keys = Keys(stack.settings.namespace, stack.settings.partitions)
    redis.Redis.from_url(stack.settings.redis_url).delete(keys.listener(user))
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        connection.execute("delete from plays where user_id = %s", (user,))
    again = count(
        stack.settings,
        data,
        "test",
        Posted(accepted=expected_ids(data, "test")),
        start,
        warehouse=False,
    )
    lost = data.users.count(user)
    assert again.redis.missing == lost
    assert again.history.missing == lost
    assert again.history.doubled == 1  # its count no longer agrees with its rows
    assert again.kafka.missing == again.lake.missing == 0
    assert not again.reconciled


@pytest.mark.timeout(600)
def test_stores_are_counted_again_if_the_log_has_grown(stack: RunningStack) -> None:
    """An API appends a request late whose client gave it up and sent it again."""
    data = interactions(300, prefix="late-")
    start = mark(stack.settings)
    assert run(stack, data).differences == []
    counted = 0

    def post_again(step: str) -> None:
        nonlocal counted
        if step == "counting":
            counted += 1
            if counted == 1:
                assert run(stack, data).differences == []

    posted = Posted(accepted=expected_ids(data, "test"))
    outcome = count(stack.settings, data, "test", posted, start, warehouse=False, say=post_again)
    assert outcome.differences == []
    assert outcome.kafka.deliveries == 2 * len(data)
    assert counted == 2


@pytest.mark.timeout(600)
def test_a_mark_waits_for_a_store_that_has_just_lost_its_data(stack: RunningStack) -> None:
    """For up to a second the worker still reports from memory that it has caught up."""
    assert run(stack, interactions(300, prefix="mark-")).differences == []

    def fold_again() -> Mark:
        redis.Redis.from_url(stack.settings.redis_url).flushall()
        with ThreadPoolExecutor(1) as pool:
            marked = pool.submit(mark, stack.settings)
            assert wait_until(lambda: stack.workers["listeners"].pid is None, 90)
            stack.start("listeners")
            return marked.result(240)

    # The first time, plays of listeners that other tests have erased cease to count.
    assert fold_again() == fold_again()


@pytest.mark.timeout(600)
def test_real_plays_reconcile(stack: RunningStack, shared_data: Path) -> None:
    data = files.read(shared_data / "30music_dev.parquet", limit=5_000)
    outcome = run(stack, data)
    assert outcome.differences == []
    assert outcome.accepted == 5_000
