"""What is to be forgotten, as messages of the log: the topic ``erasures``.

A message in Kafka cannot be deleted for one listener alone, and every store is a fold of the log.
So what is forgotten is forgotten by the log's own means: an erasure says which messages no reader
may use again, and every consumer of ``plays``, ``feedback`` and ``impressions`` reads this topic
whole before it begins and goes on following it. Folding the log anew then brings nobody back.

An erasure names nobody: it carries the 64-bit key of the listener, not the name.
"""

from __future__ import annotations

import msgspec

from contracts.events import VERSION
from contracts.ids import user_key
from contracts.messages import read


class Erasure(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Everything of one listener, or one play, up to a place in the log.

    Clocks disagree, offsets do not: a play whose API host was an hour ahead is erased too.

    Attributes
    ----------
    listener
        :func:`contracts.ids.user_key` of the listener, 16 hexadecimal digits.
    before
        Milliseconds since the epoch, UTC: when the erasure was written. It decides only about
        messages of logs that ``ends`` does not name.
    ends
        Log id -> end offset of each partition when the erasure was written. Messages below that
        offset are erased; later ones are new, should the listener return.
    event_id
        The one play that is forgotten; empty: everything of the listener.
    """

    listener: str
    before: int
    event_id: str = ""
    ends: dict[str, list[int]] = {}
    version: int = VERSION

    def covers(self, log_id: str, partition: int, offset: int, at_ms: int) -> bool:
        """Return whether a message at this place, received at this time, is erased."""
        ends = self.ends.get(log_id)
        if ends is None or partition >= len(ends):
            return at_ms <= self.before
        return offset < ends[partition]


_DECODER = msgspec.json.Decoder(Erasure)


def listener_key(user_id: str) -> str:
    """Return what an erasure calls a listener.

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
    """Read one message of ``erasures``.

    Raises
    ------
    InvalidEvent
        It is none; nobody but Segue writes there.
    """
    return read(_DECODER, value, "an erasure")
