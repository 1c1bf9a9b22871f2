"""Where a copied message came from: a header, by which a stopped copy finds where to resume."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from confluent_kafka import Message

#: Name of the header that each copied message has.
HEADER = "segue-origin"
#: Offsets read at once while looking backwards for a copied message.
_STEP = 500


class Origin(NamedTuple):
    """Place of a message in the log it was copied from.

    Examples
    --------
    >>> Origin("log", 3, 17).header
    ('segue-origin', b'log:3:17')
    """

    log_id: str
    partition: int
    offset: int

    @property
    def header(self) -> tuple[str, bytes]:
        """The header of the copy."""
        return HEADER, f"{self.log_id}:{self.partition}:{self.offset}".encode()

    @classmethod
    def of(cls, message: Message) -> Origin | None:
        """Return the origin of a message; ``None`` if it is no copy."""
        value = dict(message.headers() or ()).get(HEADER)
        if not isinstance(value, bytes):
            return None
        log_id, partition, offset = value.decode().rsplit(":", 2)
        return cls(log_id, int(partition), int(offset))


def newest_origin(
    read: Callable[[int, int], Iterable[Message]], begin: int, end: int
) -> Origin | None:
    """Return the origin of the last copy in a partition; ``None`` if it holds no copy.

    The partition is read backwards, because the API may have written after the last copy.

    Parameters
    ----------
    read
        Returns the messages from an offset to before another one.
    begin, end
        First offset of the partition, and the one after its last message.
    """
    while end > begin:
        start = max(begin, end - _STEP)
        found = [origin for message in read(start, end) if (origin := Origin.of(message))]
        if found:
            return found[-1]
        end = start
    return None
