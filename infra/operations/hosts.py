"""The processes of a deployment by host, and forgetting a host that is gone permanently."""

from __future__ import annotations

import time
from dataclasses import dataclass

from contracts.errors import ConfigurationError
from contracts.features import Keys
from contracts.heartbeat import STOPPED
from contracts.settings import Settings
from infra.operations.database import feature_store
from infra.operations.erasure.log import awaits
from infra.stack.progress import heartbeats_by_host


@dataclass(frozen=True, slots=True)
class HostProcess:
    """One process as its last heartbeat describes it.

    Attributes
    ----------
    host
        ``SEGUE_HOST_NAME`` of the process; empty on a deployment of one host.
    state
        As in the heartbeat; ``silent`` if the process ended without reporting it, or hangs.
    seconds
        Age of the heartbeat.
    awaited
        Whether an erasure waits for this process.
    """

    host: str
    worker: str
    state: str
    seconds: float
    awaited: bool


def processes(settings: Settings) -> list[HostProcess]:
    """Return every process that has reported within about a day, by host.

    Raises
    ------
    StoreUnavailable
        Redis does not answer.
    """
    now = int(time.time() * 1000)
    found = []
    for name, beat in heartbeats_by_host(settings).items():
        worker, _, host = name.partition("@")
        fresh = beat.is_fresh(now) or beat.state == STOPPED
        state = beat.state if fresh else "silent"
        age = max(0.0, (now - beat.at) / 1000)
        found.append(HostProcess(host, worker, state, age, awaits(beat, now)))
    return sorted(found, key=lambda each: (each.host, each.worker))


def forget(settings: Settings, host: str) -> list[str]:
    """Delete the heartbeats of a host that will not return; return the names of its workers.

    Erasures no longer wait for it. Files on its disk keep what they hold: destroy the disk.

    Raises
    ------
    ConfigurationError
        No process of such a host has reported, or one of them still runs.
    StoreUnavailable
        Redis does not answer.
    """
    found = [each for each in processes(settings) if each.host == host and host]
    if not found:
        raise ConfigurationError(
            f"no process of a host {host!r} has reported; see: segue hosts list"
        )
    if alive := [each for each in found if each.state not in ("silent", STOPPED)]:
        names = ", ".join(f"{each.worker} ({each.seconds:.0f} s ago)" for each in alive)
        raise ConfigurationError(f"{host} still reports: {names}; stop it first")
    key = Keys(settings.namespace, settings.partitions).workers
    with feature_store(settings) as client:
        client.hdel(key, *(f"{each.worker}@{host}" for each in found))
    return [each.worker for each in found]
