"""How far every worker is, measured against the true end of the log."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from contracts import heartbeat
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.heartbeat import Heartbeat
from contracts.kafka import end_offsets
from contracts.settings import Settings
from contracts.topics import Kind, Topics
from contracts.workers import BY_NAME, CORE_FOLDS
from infra.operations.database import feature_store


@dataclass(frozen=True, slots=True)
class Lag:
    """What a worker has still to apply.

    Attributes
    ----------
    worker
        Name of the worker.
    messages
        Messages between its offsets and the end; ``None`` when it does not report.
    """

    worker: str
    messages: int | None


def heartbeats_by_host(settings: Settings) -> dict[str, Heartbeat]:
    """Return the latest heartbeat of every worker, also of stopped ones, by ``name@host``.

    Raises
    ------
    StoreUnavailable
        Redis does not answer.
    """
    key = Keys(settings.namespace, settings.partitions).workers
    with feature_store(settings) as client:
        stored: dict[bytes, bytes] = client.hgetall(key)  # type: ignore[assignment]
    return heartbeat.read(stored)


def heartbeats(settings: Settings) -> dict[str, Heartbeat]:
    """Return one heartbeat for each worker, which combines those of all its processes.

    Raises
    ------
    StoreUnavailable
        Redis does not answer.
    """
    now = int(time.time() * 1000)
    return heartbeat.of_workers(heartbeats_by_host(settings).values(), now)


def readyz(settings: Settings) -> tuple[int, str]:
    """Return status and text of the API's ``/readyz``.

    The standard library's client: asked several times a second while others start, and an httpx
    client costs more to make (it reads every certificate) than the whole answer.

    Raises
    ------
    StoreUnavailable
        The API does not answer.
    """
    connection = http.client.HTTPConnection(settings.host, settings.port, timeout=3.0)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise StoreUnavailable(f"the API on port {settings.port}: {error}") from None
    finally:
        connection.close()


def ends(settings: Settings, kind: Kind = Kind.PLAYS) -> dict[str, int]:
    """Return ``place -> offset after the last message`` of each partition of a topic."""
    topic = Topics(settings.namespace).of(kind)
    found = end_offsets(settings, topic)
    return {topic.place(partition): end for partition, end in enumerate(found)}


def _ends_by_worker(settings: Settings, workers: tuple[str, ...]) -> dict[str, dict[str, int]]:
    kinds = {kind for worker in workers for kind in BY_NAME[worker].reads}
    by_kind = {kind: ends(settings, kind) for kind in sorted(kinds)}
    return {
        worker: {k: end for kind in BY_NAME[worker].reads for k, end in by_kind[kind].items()}
        for worker in workers
    }


def lag(beat: Heartbeat | None, true_ends: dict[str, int]) -> int | None:
    """Return how many messages a worker has still to apply; ``None`` when that is unknown."""
    if beat is None or not beat.is_fresh(int(time.time() * 1000)):
        return None
    return sum(max(0, end - beat.offsets.get(place, 0)) for place, end in true_ends.items())


def unapplied(settings: Settings, kinds: Iterable[Kind] = Kind) -> list[Lag]:
    """Return the workers that have not applied the whole log, whether they still run or not.

    An optional worker that has never reported is not part of the deployment. If the processes of a
    worker share the log, the highest offset of each partition counts, also that of a stopped
    process. Of the learners that run the slowest counts.

    Parameters
    ----------
    kinds
        Of the topics that matter.

    Raises
    ------
    BrokerUnavailable, StoreUnavailable
        Kafka or Redis does not answer.
    """
    now = int(time.time() * 1000)
    processes: dict[str, list[Heartbeat]] = {name: [] for name in CORE_FOLDS}
    for beat in heartbeats_by_host(settings).values():
        name = beat.name.partition("@")[0]
        processes.setdefault(name, []).append(beat)
    reads = {name: set(BY_NAME[name].reads) & set(kinds) for name in processes if name in BY_NAME}
    by_kind = {kind: ends(settings, kind) for kind in sorted(set().union(*reads.values()))}
    found = []
    for name, beats in processes.items():
        if not reads.get(name):
            continue
        if not beats:
            found.append(Lag(name, None))
            continue
        live = [beat for beat in beats if beat.is_live(now)]
        far, counted = (min, live) if BY_NAME[name].every_host and live else (max, beats)
        left = sum(
            max(0, end - far(beat.offsets.get(place, 0) for beat in counted))
            for kind in reads[name]
            for place, end in by_kind[kind].items()
        )
        if left:
            found.append(Lag(name, left))
    return found


def wait_applied(
    settings: Settings,
    timeout: float,
    workers: tuple[str, ...] = CORE_FOLDS,
    give_up: Callable[[], bool] = lambda: False,
) -> list[Lag]:
    """Wait until every worker has applied the log up to its end at the time of this call.

    Parameters
    ----------
    give_up
        Asked between attempts; ``True`` ends the waiting early.

    Returns
    -------
    list[Lag]
        The workers that are still behind after `timeout` seconds; empty when all have arrived.
    """
    deadline = time.monotonic() + timeout
    true_ends = _ends_by_worker(settings, workers)
    while True:
        beats = heartbeats(settings)
        behind = [Lag(name, lag(beats.get(name), true_ends[name])) for name in workers]
        behind = [entry for entry in behind if entry.messages != 0]
        if not behind or time.monotonic() >= deadline or give_up():
            return behind
        time.sleep(0.2)
