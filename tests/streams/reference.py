"""The folds of ``fold.lua`` and ``feedback.lua`` in plain Python: the oracle of both scripts."""

from __future__ import annotations

from contracts.features import EMPTY, HEADER_BYTES, PLAY_BYTES, WINDOW
from contracts.plays import UNKNOWN
from streams.fold import MAX_HIDDEN

_IDENTITY = PLAY_BYTES - 2  # second and track; ratio and flags follow


def _longer_heard(one: bytes, other: bytes) -> bytes:
    """Of two reports of one play return the one heard for longer; an unknown time yields to any."""

    def heard(play: bytes) -> tuple[int, int]:
        return (-1 if play[-2] == UNKNOWN else play[-2]), -play[-1]

    return max(one, other, key=heard)


def reference_fold(blob: bytes | None, run: bytes) -> bytes:
    """Return the blob after folding packed plays into it.

    The window is the newest ``WINDOW`` of the union, so the result depends on the set of plays
    alone: folding is commutative, associative and idempotent.
    """
    blob = EMPTY if blob is None else blob
    split = HEADER_BYTES + 8 * int.from_bytes(blob[2:4], "big")
    union: dict[bytes, bytes] = {}
    for packed in (blob[split:], run):
        for at in range(0, len(packed), PLAY_BYTES):
            play = packed[at : at + PLAY_BYTES]
            identity = play[:_IDENTITY]
            union[identity] = _longer_heard(union.get(identity, play), play)
    return blob[:split] + b"".join(union[i] for i in sorted(union)[-WINDOW:])


def reference_feedback(blob: bytes | None, operations: bytes) -> bytes | None:
    """Return the blob after feedback (``None``: nothing left to keep)."""
    blob = EMPTY if blob is None else blob
    split = HEADER_BYTES + 8 * int.from_bytes(blob[2:4], "big")
    hidden, plays = [blob[i : i + 8] for i in range(HEADER_BYTES, split, 8)], blob[split:]
    for at in range(0, len(operations), 9):
        what, track = operations[at : at + 1], operations[at + 1 : at + 9]
        hidden = [h for h in hidden if h != track] + ([track] if what == b"H" else [])
        hidden = hidden[-MAX_HIDDEN:]
    result = EMPTY[:2] + len(hidden).to_bytes(2, "big") + b"".join(hidden) + plays
    return None if result == EMPTY else result
