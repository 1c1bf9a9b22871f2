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
    """Everything of one listener, or one play, up to a moment.

    Attributes
    ----------
    listener
        :func:`contracts.ids.user_key` of the listener, 16 hexadecimal digits.
    before
        Milliseconds since the epoch, UTC. What was received up to then is forgotten; what comes
        later is new, should the listener ever return.
    event_id
        The one play that is forgotten; empty: everything of the listener.
    """

    listener: str
    before: int
    event_id: str = ""
    version: int = VERSION


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
