"""Several processes of one sink share the partitions of a topic (``SEGUE_SHARED_SINKS=1``).

They form a consumer group: Kafka assigns the partitions. A process that gets a partition resumes at
the fence in the store, as a single process does; it commits no offset to Kafka. If the previous
owner of the partition still writes, the store refuses the transaction that does not fit the fence.
"""

from __future__ import annotations

import logging
from typing import Any, TypeVar

from confluent_kafka import Consumer, TopicPartition

from streams.consume import Follower

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Time after which Kafka gives the partitions of a killed process to another one, milliseconds.
_SESSION_MS = 10_000


class SharedFollower(Follower[T]):
    """Follows the partitions that the consumer group gives to this process."""

    def _group(self) -> str:
        """Return a group for each topic: a rebalance of one does not stop the others."""
        return f"{self.worker.name}.{self.topic.kind.value}"

    def _own_settings(self) -> dict[str, Any]:
        return {
            "session.timeout.ms": _SESSION_MS,
            "partition.assignment.strategy": "range",
        }

    def _begin(self, consumer: Consumer) -> None:
        """Join the group once the store lacks nothing that Kafka has deleted."""
        self._catch_up()  # of all partitions: it may take longer than a rebalance may
        self._lost(consumer, [])
        consumer.subscribe(
            [self.topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._closing or self.worker.stopping.is_set():
            consumer.unassign()  # nothing will be read: no store needs to be asked
            return
        mine = sorted(each.partition for each in partitions)
        log.info("%s: Kafka assigned the partitions %s", self.topic, mine)
        standing = self.worker.patiently(self.sink.positions, self.topic)
        self.positions = {p: standing[p] for p in mine}
        self._next = dict(self.positions)
        self.beginning.check(self.positions)
        consumer.assign([TopicPartition(self.topic, p, o) for p, o in self._next.items()])
        self._report()

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if not self._closing:
            self.flush()
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Forget the partitions: their next owner reads the messages again that are not flushed."""
        for partition in self.positions:
            self.worker.status.offsets.pop(self.topic.place(partition), None)
        self.positions, self._next = {}, {}
        self._drop_pending()
        consumer.unassign()
