"""Lists for many listeners at once, straight from what the feature store holds of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from contracts.features import HEADER_BYTES, PLAY_BYTES
from online_model._numba import compiled, inner
from online_model.features import FEATURES
from online_model.scratch import Scratch
from online_model.serving import ListRoom, Wanted, Window, serve
from online_model.state import Array, State

# Numpy integers: with literals numba would compile ``serve`` once more.
_ONE: int = np.int64(1)  # type: ignore[assignment]
_NONE: int = np.int64(0)  # type: ignore[assignment]


class Requests(NamedTuple):
    """What is asked for several listeners at one second.

    Attributes
    ----------
    blobs, ends
        Sound blobs (:mod:`contracts.features`), one after the other, u8; where each ends, i64,
        shape (n,).
    tasks, lengths
        Task and most tracks of each list, i64, shape (n,).
    """

    blobs: Array
    ends: Array
    tasks: Array
    lengths: Array


class Lists(NamedTuple):
    """Lists of several listeners, in the order asked, padded to the longest allowed.

    Attributes
    ----------
    counts
        Tracks in each list, i64, shape (n,).
    known
        Plays of each window the model knows, i64, shape (n,): 0 is a stranger to it.
    indices, scores, features
        As in :class:`online_model.Ranking`; shapes (n, k), (n, k), (n, k, F).
    """

    counts: Array
    known: Array
    indices: Array
    scores: Array
    features: Array


def new_lists(n: int, k: int) -> Lists:
    """Return room for ``n`` lists of up to ``k`` tracks."""
    return Lists(
        counts=np.zeros(n, np.int64),
        known=np.zeros(n, np.int64),
        indices=np.zeros((n, k), np.int32),
        scores=np.zeros((n, k), np.float32),
        features=np.zeros((n, k, FEATURES), np.float32),
    )


def rank_blobs(
    state: State,
    scratch: Scratch,
    blobs: Sequence[bytes],
    lengths: Sequence[int],
    discover: Sequence[bool],
    now: int,
) -> Lists:
    """Return the lists; see :meth:`online_model.Recommender.recommend_blobs`."""
    longest = max(lengths, default=0)
    lists = new_lists(len(blobs), longest)
    requests = Requests(
        blobs=np.frombuffer(b"".join(blobs), np.uint8),
        ends=np.cumsum([len(blob) for blob in blobs], dtype=np.int64),
        tasks=np.array(discover, np.int64),
        lengths=np.array(lengths, np.int64),
    )
    serve_blobs(state, scratch, requests, now, np.zeros((2, longest), np.int64), lists)
    return lists


@inner
def _big_endian(blob: Array, at: int, width: int) -> np.uint64:
    value = np.uint64(0)
    for k in range(width):
        value = (value << np.uint64(8)) | np.uint64(blob[at + k])
    return value


@inner
def _unpack(blobs: Array, start: int, end: int, room: int) -> tuple[Window, Array]:
    """Return the newest plays of the blob at ``start``, at most ``room``, and the hidden tracks."""
    hidden = np.empty(np.int64(_big_endian(blobs, start + 2, 2)), np.uint64)
    at = start + HEADER_BYTES
    for q in range(hidden.shape[0]):
        hidden[q] = _big_endian(blobs, at, 8)
        at += 8
    every = (end - at) // PLAY_BYTES
    plays = min(every, room)
    at += (every - plays) * PLAY_BYTES
    tracks, ratios = np.empty(plays, np.uint64), np.empty(plays, np.uint8)
    seconds = np.empty(plays, np.int64)
    for k in range(plays):
        seconds[k] = np.int64(_big_endian(blobs, at, 4))
        tracks[k] = _big_endian(blobs, at + 4, 8)
        ratios[k] = blobs[at + 12]
        at += PLAY_BYTES
    return Window(tracks, seconds, ratios), hidden


@compiled
def serve_blobs(
    state: State, scratch: Scratch, asked: Requests, now: int, slots: Array, out: Lists
) -> None:
    """Rank for many listeners by their blobs of the feature store.

    One call for many: handing all arrays of a state to compiled code costs as much as a tenth of a
    ranking. The lists are those of :func:`serve` with ``just_played`` 1 and no artist cap.

    Parameters
    ----------
    slots
        Working memory, i64, two rows as long as the longest list.
    out
        Filled in the order of ``asked``.
    """
    room = scratch.tracks.shape[0]
    start = 0
    for i in range(asked.ends.shape[0]):
        window, hidden = _unpack(asked.blobs, start, asked.ends[i], room)
        n = asked.lengths[i]
        out.counts[i], out.known[i] = serve(
            state,
            scratch,
            window,
            Wanted(now, asked.tasks[i], hidden, _ONE, _NONE),
            ListRoom(
                slots[0, :n], slots[1, :n], out.indices[i, :n], out.scores[i, :n],
                out.features[i, :n],
            ),
        )  # fmt: skip
        start = asked.ends[i]
