"""What a listener's blob becomes when plays and feedback are folded into it.

:func:`pack_plays` and :func:`pack_feedback` turn decoded messages into the arguments of the Lua
scripts beside this file, which do the folding inside Redis. ``tests/streams/reference.py`` does the
same in plain Python; tests compare the two.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from contracts.events import Feedback, Submission
from contracts.features import FLAG_SKIPPED, PLAY_BYTES
from contracts.ids import track_key
from contracts.plays import UNKNOWN, heard

#: Most hidden tracks per listener: what the blob's 16-bit counter holds. The oldest yields.
MAX_HIDDEN = 65_535
_PLAY = struct.Struct(">IQBB").pack
_OPERATION = struct.Struct(">cQ").pack
_IDENTITY = PLAY_BYTES - 2  # second and track; ratio and flags follow
_EFFECT = {"hate": b"H", "hide": b"H", "love": b"U", "undo": b"U"}


class Packed(NamedTuple):
    """A batch as the script wants it.

    Attributes
    ----------
    runs
        Listener -> packed plays, distinct and ascending.
    plays
        How many plays the batch holds.
    repeated
        How many of them repeat another one of the batch.
    """

    runs: dict[str, bytes]
    plays: int
    repeated: int


def _better(one: bytes, other: bytes) -> bytes:
    """Of two reports of one play the longer hearing stands; an unknown one yields to any."""
    return max(one, other, key=_weight)


def _weight(play: bytes) -> tuple[int, int]:
    ratio, flags = play[-2], play[-1]
    return (-1 if ratio == UNKNOWN else ratio), -flags


def pack_plays(submissions: Iterable[Submission]) -> Packed:
    """Sort the plays of a batch by listener, drop repetitions, and pack them."""
    found: dict[str, dict[bytes, bytes]] = {}
    plays = 0
    for submission in submissions:
        mine = found.setdefault(submission.user_id, {})
        plays += len(submission.plays)
        for play in submission.plays:
            packed = _PLAY(
                play.played_at // 1000,
                track_key(play.artist, play.title),
                heard(play.ms_played, play.duration_ms, play.skipped),
                FLAG_SKIPPED if play.skipped else 0,
            )
            identity = packed[:_IDENTITY]
            held = mine.get(identity)
            mine[identity] = packed if held is None else _better(held, packed)
    runs = {user: b"".join(mine[i] for i in sorted(mine)) for user, mine in found.items()}
    return Packed(runs, plays, plays - sum(len(mine) for mine in found.values()))


def pack_feedback(messages: Iterable[Feedback]) -> dict[str, bytes]:
    """Return listener -> operations for ``feedback.lua``, in log order.

    ``hate`` and ``hide`` hide the track; ``love`` and ``undo`` show it again.
    """
    found: dict[str, list[bytes]] = {}
    for message in messages:
        key = track_key(message.artist, message.title)
        found.setdefault(message.user_id, []).append(_OPERATION(_EFFECT[message.kind], key))
    return {user: b"".join(operations) for user, operations in found.items()}
