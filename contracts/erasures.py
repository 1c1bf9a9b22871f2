"""Erasures of listeners and plays: the messages of the topic ``erasures``.

Kafka cannot delete one listener's messages, and every store is a fold of the log. So an erasure is
a message, too: it lists the messages that no consumer may use any more. Every consumer of
``plays``, ``feedback`` and ``impressions`` reads the whole topic before it starts, and then follows
it. A fold of the log from scratch therefore does not restore an erased listener.

An erasure has the 64-bit key of the listener, not the name.
"""

from __future__ import annotations

import msgspec

from contracts.events import VERSION
from contracts.ids import user_key
from contracts.messages import read


class Erasure(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Erasure of one listener, or of one play, up to an offset of each log.

    Offsets decide, not times: a play from an API host whose clock was an hour ahead is erased too.

    Attributes
    ----------
    listener
        :func:`contracts.ids.user_key` of the listener, 16 hexadecimal digits.
    before
        Time at which the erasure was written, milliseconds since the epoch, UTC. It decides only
        about messages of logs that ``ends`` does not contain.
    ends
        Log id -> end offset of each partition when the erasure was written. Messages below that
        offset are erased; later ones are new, if the listener returns.
    event_id
        The erased play; empty: everything of the listener.

    Examples
    --------
    >>> erasure = Erasure(listener=listener_key("ada"), before=0, ends={"log": [10]})
    >>> erasure.covers("log", 0, 9, at_ms=99), erasure.covers("log", 0, 10, at_ms=99)
    (True, False)
    """

    listener: str
    before: int
    event_id: str = ""
    ends: dict[str, list[int]] = {}
    version: int = VERSION

    def covers(self, log_id: str, partition: int, offset: int, at_ms: int) -> bool:
        """Whether a message at this offset, received at this time, is erased."""
        ends = self.ends.get(log_id)
        if ends is None or partition >= len(ends):
            return at_ms <= self.before
        return offset < ends[partition]


_DECODER = msgspec.json.Decoder(Erasure)


def listener_key(user_id: str) -> str:
    """Return the key of a listener in an erasure, 16 hexadecimal digits.

    Examples
    --------
    >>> len(listener_key("ada"))
    16
    """
    return f"{user_key(user_id):016x}"


def encode(erasure: Erasure) -> bytes:
    """Return the JSON bytes of an erasure."""
    return msgspec.json.encode(erasure)


def decode(value: bytes | None) -> Erasure:
    """Decode one message of ``erasures``.

    Raises
    ------
    InvalidEvent
        It is not an erasure. Only Segue writes to this topic.
    """
    return read(_DECODER, value, "an erasure")
