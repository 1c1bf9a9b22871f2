"""The whole replay: mark, post, wait, count, compare."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from contracts.errors import IncompatibleState
from contracts.kafka import end_offsets
from contracts.settings import Settings
from contracts.topics import Topics
from infra.operations.interactions import InteractionLog
from infra.operations.replay import reconcile
from infra.operations.replay.post import Posted, expected_ids, post
from infra.operations.replay.reconcile import Tally

#: How often the stores are counted while the log grows.
_COUNTS = 3
#: Most event ids that an outcome names.
_NAMED = 20


class Outcome(msgspec.Struct):
    """What ``segue replay --json`` prints.

    ``reconciled`` holds exactly when every store holds every accepted play once, and has applied
    every delivery of the log exactly once. ``lost`` names accepted plays that are not in the log by
    their event ids, 20 at most.
    """

    plays: int
    distinct: int
    accepted: int
    rejected: dict[str, int]
    retries: int
    post_seconds: float
    plays_per_s: float
    kafka: Tally
    redis: Tally
    lake: Tally
    history: Tally
    warehouse: Tally | None
    lost: list[str]
    differences: list[str]
    reconciled: bool


def replay(
    settings: Settings,
    data: InteractionLog,
    *,
    api: str,
    token: str,
    collection: str,
    rate: float | None,
    warehouse: bool,
    timeout: float,
    progress: Callable[[int], None],
    say: Callable[[str], None],
) -> Outcome:
    """Post the file and reconcile every store.

    Raises
    ------
    Retryable
        A store did not answer or did not catch up within ``timeout`` seconds.
    """
    say("waiting for the stack to be level with its log")
    start = reconcile.mark(settings)
    say("posting")
    posted = asyncio.run(
        post(
            data,
            api=api,
            token=token,
            collection=collection,
            rate=rate,
            give_up_after=timeout,
            progress=progress,
        )
    )
    return count(
        settings, data, collection, posted, start, warehouse=warehouse, timeout=timeout, say=say
    )


def count(
    settings: Settings,
    data: InteractionLog,
    collection: str,
    posted: Posted,
    start: reconcile.Mark,
    *,
    warehouse: bool,
    timeout: float = 120.0,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Wait for every store, count it, and list where they differ.

    If the log grows meanwhile, the stores are counted again, a few times: the API may still append
    a request that its client has given up and sent again. The warehouse is built once, at the end:
    it is asked only for the accepted plays.

    Raises
    ------
    StoreUnavailable
        A store did not catch up within ``timeout`` seconds.
    """
    topic = Topics(settings.namespace).plays
    expected = expected_ids(data, collection)
    rows = [
        (user, second, *data.name(row, collection))
        for row, (user, _, second) in enumerate(data.iter_rows())
    ]
    for _ in range(_COUNTS):
        say("waiting for every worker")
        ends = reconcile.settled(settings, timeout=timeout, say=say)
        say("counting")
        deliveries, in_kafka = reconcile.kafka(settings, start, ends)
        outcome = Outcome(
            plays=len(data),
            distinct=len(expected),
            accepted=len(posted.accepted),
            rejected=posted.rejected,
            retries=posted.retries,
            post_seconds=round(posted.seconds, 3),
            plays_per_s=round(len(data) / posted.seconds) if posted.seconds else 0.0,
            kafka=Tally(
                deliveries=deliveries,
                distinct=len(in_kafka & posted.accepted),
                missing=len(posted.accepted - in_kafka),
            ),
            redis=reconcile.feature_store(settings, start, reconcile.window_keys(rows)),
            lake=reconcile.lake(settings, start, ends, posted.accepted),
            history=reconcile.history(settings, sorted(set(data.users)), posted.accepted),
            warehouse=None,
            lost=sorted(posted.accepted - in_kafka)[:_NAMED],
            differences=[],
            reconciled=False,
        )
        grew = end_offsets(settings, topic) != ends
        if not grew:
            break
    if warehouse:
        say("building the warehouse")
        outcome.warehouse = _warehouse(settings, posted.accepted)
    outcome.differences = _differences(outcome, posted, expected)
    if grew:
        outcome.differences.append(
            "the log grew each time it was counted: someone else posts (a simulator?); "
            "stop it and replay again"
        )
    outcome.reconciled = not outcome.differences
    return outcome


def _warehouse(settings: Settings, accepted: set[str]) -> Tally:
    from batch import warehouse  # dbt takes seconds to import
    from batch.lake import Lake

    warehouse.land(settings, Lake.newest(settings))
    built = warehouse.build(settings)
    if not built.ok:
        failed = ", ".join(node.name for node in built.failed)
        raise IncompatibleState(f"dbt could not build fct_plays: {failed}; run segue nightly")
    rows = warehouse.query(settings, "select event_id from marts.fct_plays").rows
    distinct = {str(row[0]) for row in rows}
    return Tally(
        distinct=len(distinct & accepted),
        missing=len(accepted - distinct),
        doubled=len(rows) - len(distinct),
    )


def _differences(outcome: Outcome, posted: Posted, expected: set[str]) -> list[str]:
    found = []
    if strangers := len(posted.accepted - expected):
        found.append(f"the API answered {strangers} event ids that belong to no play of the file")
    refused = sum(posted.rejected.values())
    if len(posted.accepted) + refused < len(expected):
        found.append(
            f"{len(expected)} distinct plays in the file, {len(posted.accepted)} accepted and "
            f"{refused} refused"
        )
    for name in ("kafka", "redis", "lake", "history", "warehouse"):
        tally: Tally | None = getattr(outcome, name)
        if tally is None:
            continue
        if tally.missing:
            found.append(f"{name}: {tally.missing} accepted plays are missing")
        if tally.doubled:
            found.append(f"{name}: {tally.doubled} plays are held twice")
        if tally.deliveries not in (None, outcome.kafka.deliveries):
            found.append(
                f"{name}: applied {tally.deliveries} deliveries of {outcome.kafka.deliveries}"
                " in the log"
            )
    return found


def collection_name(file: Path) -> str:
    """Return the stand-in artist for a file without names."""
    return file.name.split(".")[0]
