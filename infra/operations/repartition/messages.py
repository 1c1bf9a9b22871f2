"""What is copied of a message: nothing of what is refused or erased, the rest unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from contracts import erasures
from contracts.errors import InvalidEvent
from contracts.events import Submission, decode_submission, encode
from contracts.topics import Kind
from streams.decode import Decoder, Record


class Copy(NamedTuple):
    """The copy of a message, and the name that decides about its partition."""

    name: str
    value: bytes


class Selection:
    """Decides as every fold does, because the workers' own decoder reads the messages.

    Parameters
    ----------
    decoder
        Knows what is erased.
    ends
        Log id -> end offset of each partition, of the new logs before this run writes. An erasure
        covers what earlier runs copied: this run copies nothing that is erased already.
    """

    def __init__(self, decoder: Decoder, ends: Mapping[str, list[int]]) -> None:
        self._decoder = decoder
        self._ends = ends

    def copy(self, kind: Kind, partition: int, record: Record) -> Copy | None:
        """Return the copy of a message; ``None``: it is not copied."""
        if kind is Kind.ERASURES:
            return self._erasure(record)
        batch = self._decoder.of(kind)([record], partition=partition, start=record.offset)
        if not batch.messages:
            return None
        ((_, message),) = batch.messages
        value = record.value or b""
        if isinstance(message, Submission):
            whole = decode_submission(value)
            if len(message.plays) < len(whole.plays):  # some of its plays are erased
                value = encode(message)
        return Copy(message.user_id, value)

    def _erasure(self, record: Record) -> Copy | None:
        try:
            erasure = erasures.decode(record.value)
        except InvalidEvent:  # the workers report it
            return None
        ends = {**erasure.ends, **self._ends}
        value = erasures.encode(msgspec.structs.replace(erasure, ends=ends))
        return Copy((record.key or b"").decode(), value)
