"""The worker ``relay``: follows the plays into the queues, and sends what is in them."""

from __future__ import annotations

import logging

from contracts.environ import read
from contracts.options import RelayTargets
from contracts.settings import Settings
from contracts.workers import RELAY
from streams.consume import Follower, follow_together
from streams.relay.lastfm import Lastfm
from streams.relay.listenbrainz import ListenBrainz
from streams.relay.queue import RelayQueue, RelayStore
from streams.relay.sender import Sender
from streams.relay.service import Service
from streams.worker import Worker, run_worker

log = logging.getLogger(__name__)
_SECONDS, _ROWS = 0.5, 5_000


def body(worker: Worker) -> None:
    """Follow ``plays`` and send until the worker has to stop."""
    settings, logs, plays = worker.settings, worker.find_logs(), worker.topics.plays
    targets = read(RelayTargets)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request
    queue = RelayQueue(settings.postgres_dsn, logs[plays], settings.partitions)
    store = RelayStore(settings.postgres_dsn)
    listenbrainz = ListenBrainz(targets.listenbrainz_url)
    services: dict[str, Service] = {"listenbrainz": listenbrainz}
    lastfm = None
    if targets.lastfm_key:
        lastfm = Lastfm(targets.lastfm_url, targets.lastfm_key, targets.lastfm_secret)
        services["lastfm"] = lastfm
    follower = Follower(worker, plays, logs[plays], queue, seconds=_SECONDS, rows=_ROWS)
    try:
        follow_together(worker, [follower, Sender(worker, store, services, targets.hold_seconds)])
    finally:
        queue.close()
        store.close()
        listenbrainz.close()
        if lastfm is not None:
            lastfm.close()


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM; return its exit code."""
    return run_worker(settings, RELAY.name, body)
