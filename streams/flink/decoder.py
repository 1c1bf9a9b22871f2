"""The one Python operator: messages in, plays out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pyflink.common import Row as FlinkRow
from pyflink.common import Types
from pyflink.datastream import ProcessFunction, RuntimeContext

from contracts.erased import Erased
from contracts.errors import SegueError
from contracts.kafka import log_id
from contracts.settings import Settings
from contracts.topics import Topics
from streams.dead_letters import DeadLetters
from streams.decode import Decoder, Record
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


@cache
def _erased(settings: Settings) -> Erased:
    """Return what is erased; one thread follows the topic for all subtasks of a process."""
    erased, topics = Erased(), Topics(settings.namespace)
    follower = ErasureFollower(settings, Status(), erased)
    follower.read_logs({t.kind: log_id(settings, t) for t in topics.landed})
    return erased


class DecodePlays(ProcessFunction):
    """Reads ``(key, value, partition, offset)``; writes a dead letter before the next message."""

    def __init__(self, settings: Settings, bound: int) -> None:
        self._settings = settings
        self._bound = bound

    def open(self, runtime_context: RuntimeContext) -> None:
        """Learn what is erased: nothing is read before that is known."""
        self._decoder = Decoder(_erased(self._settings), self._settings.partitions)
        self._topic = Topics(self._settings.namespace).plays
        self._letters = DeadLetters(self._settings, STAGE)

    def process_element(self, value: Any, ctx: ProcessFunction.Context) -> Iterator[Any]:
        """Yield a row for each play of a message.

        Raises
        ------
        SegueError
            Naming the message; Flink restarts the job from its checkpoint.
        """
        key, body, partition, offset = value
        try:
            found, rejected = rows(
                self._decoder, Record(offset, body, key), partition=partition, bound=self._bound
            )
            self._letters.send(self._topic, partition, rejected)
        except Exception as error:
            place = f"{self._topic}:{partition}:{offset}"
            raise SegueError(f"message {place}: {type(error).__name__}: {error}") from error
        for row in found:
            yield FlinkRow(*row)
