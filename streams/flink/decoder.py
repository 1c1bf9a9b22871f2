"""The one Python operator: messages in, plays out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row as FlinkRow
from pyflink.common import Types
from pyflink.datastream import ProcessFunction, RuntimeContext

from contracts.settings import Settings
from contracts.topics import Topics
from streams.dead_letters import DeadLetters
from streams.decode import Record
from streams.erasures import ErasureFollower
from streams.flink.rows import Row, rows
from streams.heartbeat import Status

STAGE = "flink"
_KINDS = {"played_at": Types.LONG(), "received_at": Types.LONG(), "trace": Types.LONG()} | {
    "heard": Types.BOOLEAN(),
    "late": Types.BOOLEAN(),
}
ROW_TYPE = Types.ROW_NAMED(
    list(Row._fields), [_KINDS.get(name, Types.STRING()) for name in Row._fields]
)
#: One thread follows the erasures for all subtasks of a process.
_followers: list[ErasureFollower] = []


def _know_what_is_erased(settings: Settings) -> None:
    if not _followers:
        follower = ErasureFollower(settings, Status())
        follower.read_whole()
        _followers.append(follower)


class Decoder(ProcessFunction):
    """Reads messages ``(key, value, partition, offset)``; writes dead letters before it goes on."""

    def __init__(self, settings: Settings, bound: int) -> None:
        self._settings = settings
        self._bound = bound

    def open(self, runtime_context: RuntimeContext) -> None:
        """Learn what is erased: nothing is read before that is known."""
        _know_what_is_erased(self._settings)
        self._topic = Topics(self._settings.namespace).plays
        self._letters = DeadLetters(self._settings, STAGE)

    def process_element(self, value: Any, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """Yield a row for each play of a message."""
        key, body, partition, offset = value
        found, rejected = rows(
            Record(offset, body, key),
            partition=partition,
            partitions=self._settings.partitions,
            bound=self._bound,
        )
        self._letters.send(self._topic, partition, rejected)
        for row in found:
            yield FlinkRow(*row)
