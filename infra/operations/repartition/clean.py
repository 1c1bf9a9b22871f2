"""Deletes topics and Redis keys of a namespace that a deployment has left (docs/repartition.md).

No later erasure reaches them. The command deletes the hash of the heartbeats last: if it is stopped
before, its next run needs the hash for its checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.kafka import asking
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from infra.operations.database import feature_store
from infra.operations.repartition.run import repartition
from infra.stack.progress import Lag, heartbeats_by_host, unapplied

_TIMEOUT = 30.0
#: Keys that one command deletes.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was deleted: names of topics, number of Redis keys."""

    topics: list[str]
    keys: int


def clean(
    source: Settings,
    namespace: str,
    partitions: int,
    *,
    leave_dead_letters: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Cleaned:
    """Delete what a namespace leaves in Kafka and Redis, once nothing of it is needed any more.

    Parameters are those of :func:`repartition`.

    Raises
    ------
    ConfigurationError
        As :func:`repartition`.
    BrokerUnavailable
        Kafka does not answer; a later run deletes the rest.
    StoreUnavailable
        A worker of the namespace still runs, messages have just been copied, the impressions are
        not in the lake, a worker of the new namespace has not caught up, or a server does not
        answer. Nothing is deleted before all checks have passed.
    """
    target = replace(source, namespace=namespace, partitions=partitions)
    _check_stopped(source)
    copied = repartition(
        source, namespace, partitions, leave_dead_letters=leave_dead_letters, say=say
    )
    if fresh := sum(each.messages for each in copied):
        raise StoreUnavailable(
            f"{fresh} messages of {source.namespace} were not copied before: end every API process "
            "that still has the old settings, then run this again"
        )
    # Neither copied nor computed again: impressions must be in the lake (and in Snowflake).
    _check_applied(source, unapplied(source, (Kind.IMPRESSIONS,)))
    _check_applied(target, unapplied(target))
    keys = delete_keys(source)
    topics = _delete_topics(source)
    with feature_store(source) as client:
        keys += int(client.unlink(Keys(source.namespace, source.partitions).workers))
    return Cleaned(topics, keys)


def _check_stopped(settings: Settings) -> None:
    now = int(time.time() * 1000)
    beats = heartbeats_by_host(settings)
    if running := sorted(name for name, beat in beats.items() if beat.is_live(now)):
        raise StoreUnavailable(
            f"workers of {settings.namespace} still run: {', '.join(running)}; stop them, then run "
            "this again (a killed one counts as running for 10 s)"
        )


def _check_applied(settings: Settings, behind: list[Lag]) -> None:
    if behind:
        raise StoreUnavailable(
            f"workers of {settings.namespace} have not applied their log: {listed(behind)}; let "
            "them catch up, then run this again"
        )


def listed(behind: list[Lag]) -> str:
    """Return what each worker lacks, for a person.

    Examples
    --------
    >>> listed([Lag("learner", 1200), Lag("lake-sink", None)])
    'learner 1,200 messages, lake-sink has not reported'
    """
    return ", ".join(
        f"{each.worker} has not reported"
        if each.messages is None
        else f"{each.worker} {each.messages:,} messages"
        for each in behind
    )


def delete_keys(settings: Settings) -> int:
    """Delete all keys of a namespace but the heartbeats, on every primary; return their number.

    Raises
    ------
    StoreUnavailable
        Redis does not answer.
    """
    keys = Keys(settings.namespace, settings.partitions)
    deleted = 0
    with feature_store(settings) as client:
        for pattern in keys.every:
            names: list[bytes] = []
            for name in client.scan_iter(pattern, count=_MOST):
                text = name.decode(errors="replace")
                if keys.owns(text) and text != keys.workers:
                    names.append(name)
                if len(names) == _MOST:
                    deleted += int(client.unlink(*names))
                    names = []
            deleted += int(client.unlink(*names)) if names else 0
    return deleted


def _delete_topics(settings: Settings) -> list[str]:
    topics = Topics(settings.namespace)
    with asking(settings, f"topics of {settings.namespace}") as client:
        present = client.list_topics(timeout=_TIMEOUT).topics
        names = [str(topic) for kind in Kind if (topic := topics.of(kind)) in present]
        # One request, so that a killed command leaves all topics or none.
        for future in client.delete_topics(names, operation_timeout=_TIMEOUT).values():
            future.result(_TIMEOUT)
    return names
