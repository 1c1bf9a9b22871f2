"""The composition root of the API: every part is made here and given what it uses.

A part never reaches back for this object; only handlers take it, as what a request works with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from redis.asyncio import Redis

from api.audit import AuditTrail
from api.auth import Accounts
from api.export.turns import Turns
from api.failed_logins import FailedLogins
from api.flink import FlinkLook
from api.freshness import Freshness, parts_of
from api.listeners.hub import EventHub
from api.looks import BrokerLook, DatabaseLook, WorkersLook
from api.metrics import Metrics
from api.offers import Offers
from api.operation.ends import Ends
from api.passwords import PasswordChecks
from api.plays.records import PlayRecords
from api.pools import account_pool, reading_pool
from api.producer import PlayLog
from api.published_files import PublishedFiles
from api.revocations import Revocations
from api.serving.arms import Arms
from api.serving.desk import Desk
from api.serving.features import FeatureReader
from api.serving.impressions import ImpressionLog
from api.serving.lists import ListParts
from api.serving.live import LiveModel
from api.serving.slow import SlowLists
from api.shared_rates import SharedRates
from api.traced import TracedLists
from api.waking import Waker
from api.watcher import Watcher
from contracts import redis_client
from contracts.features import Keys
from contracts.ids import partition_of
from contracts.kafka import end_offsets
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.traces import open_traces
from contracts.workers import WORKERS

log = logging.getLogger(__name__)


class Services:
    """Everything one API process holds open.

    Construct it anywhere; call :meth:`open` and :meth:`close` on the event loop. The process starts
    even if a dependency is down: ``/readyz`` reports it, and the API answers what it can.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topics = Topics(settings.namespace)
        self.keys = Keys(settings.namespace, settings.partitions)
        self.metrics = Metrics()
        self.traces = open_traces(settings, "api", self.metrics.spans)
        self.log = PlayLog(settings)
        self.impressions = Offers(settings)
        self.records = PlayRecords(self.topics, settings.partitions)
        self.pool = reading_pool(settings)
        self.account_pool = account_pool(settings)
        self.exports = Turns()
        self.accounts = Accounts(self.account_pool)
        self.revocations = Revocations(settings.postgres_dsn, self.accounts)
        # Requests are coalesced (see FeatureReader), so few connections ever live.
        self.redis: Redis = redis_client.async_client(
            settings.redis_url,
            socket_timeout=0.25,
            socket_connect_timeout=0.25,
            max_connections=32,
        )
        if not settings.broker_holds_fetches:
            self.log.on_acked = Waker(self.redis, self.keys.posted).wake
        self.features = FeatureReader(self.redis, settings.redis_url, self.keys)
        self.features.on_read = partial(self.metrics.called, "redis")
        self.log.on_settled = partial(self.metrics.called, "kafka")
        self.events = EventHub(settings.redis_url, self.keys.events)
        self.model = LiveModel(settings.paths.model)
        self.workers = WorkersLook(self.redis, self.keys.workers, self.features.share.trouble)
        self.freshness = Freshness(
            settings.freshness_seconds,
            self.topics.plays,
            self.workers.log_id,
            parts_of(self.redis, self.keys, self.model),
        )
        self.log.on_placed = self.freshness.saw
        self.traced_lists = TracedLists(self.topics.plays, self.workers.log_id, self.model)
        self.log.on_traced = self.traced_lists.saw
        parts = ListParts(
            self.features,
            self.model,
            ImpressionLog(self.impressions, self.topics.impressions, settings.partitions),
            self.metrics.degraded,
            settings.explore_share,
            self.metrics.of_arm,
            lambda user: self.workers.windows_stand_still(partition_of(user, settings.partitions)),
        )
        self.arms = Arms(self.pool)
        self.published = PublishedFiles(settings)
        self.desk = Desk(parts)
        self.slow = SlowLists(parts, settings.paths.batch_view)
        self.rates = SharedRates(self.redis, self.keys)
        self.logins = FailedLogins(self.redis, self.keys)
        self.passwords = PasswordChecks()
        self.audit = AuditTrail(self.account_pool)
        followed = {kind for spec in WORKERS if not spec.optional for kind in spec.reads}
        self.ends = Ends(
            sorted(self.topics.of(kind) for kind in followed),
            lambda topic: end_offsets(settings, topic),
        )
        self._broker = BrokerLook(self.log, self.impressions, settings)
        self.flink = FlinkLook(settings.flink)
        self.watcher = Watcher(
            {
                "kafka": self._broker.look,
                "postgres": DatabaseLook(self.account_pool).look,
                "redis": self.workers.look,
                "model": self.model.refresh,
                **self.flink.looks,
            }
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call from a signal handler: run something on the loop, later."""
        if self._loop is None:
            call()
        else:
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, call)

    async def open(self) -> None:
        """Connect in the background."""
        self._loop = asyncio.get_running_loop()
        await self.pool.open(wait=False)
        await self.account_pool.open(wait=False)
        self.watcher.start()
        self.revocations.start()
        self.arms.start()
        self.published.start()

    async def close(self) -> None:
        """Flush the log, then let go of everything."""
        self.watcher.stopping = True
        left = sum(await asyncio.gather(self.log.close(), self.impressions.close()))
        if left:
            log.error("stopping: Kafka did not acknowledge %d messages", left)
        self.slow.close()
        self.passwords.close()
        await asyncio.gather(
            self.watcher.stop(), self.revocations.stop(), self.arms.stop(), self.published.stop(),
            self.freshness.stop(), self.rates.stop(),
        )  # fmt: skip
        self._broker.close()
        await asyncio.gather(
            self.pool.close(timeout=2.0),
            self.account_pool.close(timeout=2.0),
            self.features.close(),
            self.redis.aclose(),
            self.ends.close(),
            self.flink.close(),
        )
        if self.traces is not None:
            await asyncio.to_thread(self.traces.close)
