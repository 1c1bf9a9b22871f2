"""The results sink: keeps the newest trending list of each window in Redis, for the API.

Lists and position are written in one transaction. The sink skips a list that is older than the
stored one (a restarted job publishes some twice), so a repeat changes nothing.
"""

from __future__ import annotations

import msgspec
import redis

from contracts import redis_client
from contracts.features import Keys
from contracts.results import Trending
from contracts.settings import Settings
from contracts.topics import Kind
from contracts.workers import RESULTS_SINK
from streams.consume import Follower
from streams.decode import Batch
from streams.worker import Worker, run_worker

_SECONDS = 1.0
_ROWS = 100
_decoder = msgspec.json.Decoder(Trending)


class TrendingSink:
    """Keeps trending lists.

    Parameters
    ----------
    log_id
        Identity of the log the offsets belong to.
    partitions
        Of that log.
    """

    def __init__(self, client: redis.Redis, keys: Keys, log_id: str, partitions: int) -> None:
        self._redis = client
        self._keys = keys
        self._log_id = log_id
        self._partitions = partitions

    def positions(self) -> dict[int, int]:
        """Return ``partition -> next offset``; raises StoreUnavailable."""
        fields = [self._field(p) for p in range(self._partitions)]
        try:
            found = self._redis.hmget(self._keys.trending_positions, fields)
        except redis_client.UNAVAILABLE as error:
            raise redis_client.trouble(error) from None
        return {p: int(at or 0) for p, at in enumerate(found)}

    def write(self, batches: list[Batch[Trending]]) -> int:
        """Keep the newest lists and the position; return how many lists were newer."""
        newest: dict[str, Trending] = {}
        for batch in batches:
            for _, found in batch.messages:
                key = f"{found.kind}:{found.window}"
                held = newest.get(key)
                if held is None or _order(held) <= _order(found):
                    newest[key] = found
        try:
            held_already = self._held(list(newest))
            fresh = {
                key: found
                for key, found in newest.items()
                if key not in held_already or _order(held_already[key]) <= _order(found)
            }
            with self._redis.pipeline(transaction=True) as pipe:
                for key, found in fresh.items():
                    pipe.hset(self._keys.trending, key, msgspec.json.encode(found))
                for batch in batches:
                    pipe.hset(
                        self._keys.trending_positions, self._field(batch.partition), batch.last + 1
                    )
                pipe.execute()
        except redis_client.UNAVAILABLE as error:
            raise redis_client.trouble(error) from None
        return len(fresh)

    def _held(self, keys: list[str]) -> dict[str, Trending]:
        if not keys:
            return {}
        values = self._redis.hmget(self._keys.trending, keys)
        pairs = zip(keys, values, strict=True)
        return {key: _decoder.decode(value) for key, value in pairs if value}

    def _field(self, partition: int) -> str:
        return f"{self._log_id}:{partition}"


def _order(found: Trending) -> tuple[int, int]:
    """Return what makes a list newer: its window, then who counted it."""
    return found.window_end, found.run


def _forget(client: redis.Redis, keys: Keys) -> None:
    """Delete the keys of an earlier version, which were not on one slot of a Redis Cluster."""
    try:
        for name in keys.untagged_trending:
            client.delete(name)
    except redis_client.UNAVAILABLE as error:
        raise redis_client.trouble(error) from None


def body(worker: Worker) -> None:
    """Follow the topic of trending lists until the worker has to stop."""
    settings, logs = worker.settings, worker.find_logs()
    topic = worker.topics.of(Kind.TRENDING)
    client = worker.patiently(lambda: redis_client.client(settings.redis_url, socket_timeout=5.0))
    keys = Keys(settings.namespace, settings.partitions)
    # Nothing is lost: without an offset under the new key the worker reads the whole topic again.
    worker.patiently(lambda: _forget(client, keys))
    sink = TrendingSink(client, keys, logs[topic], settings.partitions)
    Follower(worker, topic, logs[topic], sink, seconds=_SECONDS, rows=_ROWS).run()


def run(settings: Settings) -> int:
    """Run the worker until SIGTERM; return its exit code."""
    return run_worker(settings, RESULTS_SINK.name, body)
