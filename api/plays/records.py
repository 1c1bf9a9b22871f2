"""Plays of one listener as messages of the play log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from api.producer import MAX_MESSAGE_BYTES, LogRecord
from contracts.events import MAX_PLAYS, Play, Submission, encode
from contracts.ids import partition_of
from contracts.topics import Topics


class PlayRecords:
    """Cuts plays into submissions that respect the log's limits.

    Parameters
    ----------
    topics
        Names of the topics.
    partitions
        Of the ``plays`` topic.
    """

    def __init__(self, topics: Topics, partitions: int) -> None:
        self._topic = topics.plays
        self._partitions = partitions

    def of(self, user_id: str, plays: list[Play]) -> list[LogRecord]:
        """Return the messages, of at most 200 plays and ``MAX_MESSAGE_BYTES`` each.

        A play that is larger makes a message alone: the log refuses it.
        """
        partition = partition_of(user_id, self._partitions)
        key = user_id.encode()
        return [
            LogRecord(self._topic, key, value, partition)
            for start in range(0, len(plays), MAX_PLAYS)
            for value in _values(user_id, plays[start : start + MAX_PLAYS])
        ]

    def of_all(self, by_listener: Mapping[str, list[Play]]) -> list[LogRecord]:
        """Return the messages of the plays of several listeners."""
        return [record for user, plays in by_listener.items() for record in self.of(user, plays)]


def _values(user_id: str, plays: list[Play]) -> Iterator[bytes]:
    value = encode(Submission(user_id=user_id, plays=plays))
    if len(value) <= MAX_MESSAGE_BYTES or len(plays) == 1:
        yield value
        return
    middle = len(plays) // 2
    yield from _values(user_id, plays[:middle])
    yield from _values(user_id, plays[middle:])
