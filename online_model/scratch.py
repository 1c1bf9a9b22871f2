"""Working memory of one ranking, owned by one model object and never shared between threads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from online_model._numba import inlined, inner
from online_model.config import ModelConfig
from online_model.features import (
    CONTEXTS,
    EVIDENCE,
    FEATURES,
    HIDDEN,
    INPUTS,
    MAX_CANDIDATES,
    MAX_MOODS,
    MOODS,
    POURED,
    SHORTLIST,
    TASKS,
)
from online_model.selection import BUCKETS
from online_model.state import Array

# Positions in ``Board.tally``.
END = 0  # one past the last candidate slot in use; slots start at 1
SESSION_PLAYS = 1  # plays of the running session at the end of the window, 0 after a silence
WINDOW_PLAYS = 2  # plays in the window
SHORTLISTED = 3  # candidates on the shortlist
SITUATION = 4  # one of ``features.SITUATIONS``
FELT = 5  # artists in ``moods``
OWN_ARTISTS = 6  # of these, artists of the window: they come first, the newest before all
SESSION_ARTISTS = 7  # of these, artists of the running session
STREAK = 8  # plays at the end of the session that are all of one artist
OWN_END = 9  # one past the last slot of a track the window holds: these slots come first
TALLY = 10

RAW = 10
"""Columns of ``Scratch.raw`` (:mod:`online_model.scoring`)."""

_LINE = 64  # bytes of a cache line
_PAGE = 4_096  # bytes
_SLOT_BITS = 16
_SLOT_MASK: int = np.int64((1 << _SLOT_BITS) - 1)  # type: ignore[assignment]
_NOWHERE: int = np.int64(-1)  # type: ignore[assignment]


class Board(NamedTuple):
    """The candidates of one ranking.

    ``slot_of[track]`` holds the number of a ranking and the track's slot in it, in one word
    (:func:`stamped`). Entries of earlier rankings do not match, so nothing has to be cleared.
    """

    turn: Array  # i64 [2] number that marks the candidates, and that which marks the moods
    tally: Array  # i64 [TALLY] counts, at the positions above
    slot_of: Array  # i64 [T]
    candidates: Array  # i32 [C] track indices
    evidence: Array  # f32 [C, EVIDENCE]


@inlined
def stamped(turn: int, slot: int) -> int:
    """Return a slot together with the number of its ranking, in one word."""
    return (turn << _SLOT_BITS) | slot


@inlined
def slot_in(turn: int, word: int) -> int:
    """Return the slot in a word of :func:`stamped`, or -1 if it is of another ranking."""
    return word & _SLOT_MASK if word >> _SLOT_BITS == turn else _NOWHERE


@inlined
def find_slot(board: Board, track: int) -> int:
    """Return the slot of a track among the candidates of the running ranking, or -1."""
    return slot_in(board.turn[0], board.slot_of[track])


@inner
def touch(board: Board, track: int) -> int:
    """Return the candidate slot of a track; -1 if all slots are used.

    A track that is not a candidate yet gets a new slot with evidence 0. No track gets slot 0, so an
    old ``slot_of`` entry of turn 0 matches no track.
    """
    found = find_slot(board, track)
    if found >= 0:
        return int(found)
    slot = board.tally[END]
    if slot >= MAX_CANDIDATES:
        return -1
    board.tally[END] = slot + 1
    board.slot_of[track] = stamped(board.turn[0], slot)
    board.candidates[slot] = track
    for e in range(EVIDENCE):
        board.evidence[slot, e] = 0.0
    return int(slot)


@inner
def begin(board: Board) -> None:
    """Begin a ranking for another request: remove all candidates from the board."""
    board.turn[0] += 1
    board.turn[1] = board.turn[0]
    board.tally[END] = 1
    board.tally[OWN_END] = 1


class Scratch(NamedTuple):
    """Buffers the kernels write."""

    board: Board
    features: Array  # f32 [FEATURES, C + 48]: rows must not share cache sets
    columns: Array  # f32 [POURED, C + 48] evidence, by column
    raw: Array  # f32 [RAW, C + 48] facts of each candidate, by column
    context: Array  # f32 [CONTEXTS]
    linear: Array  # f32 [FEATURES] weights of the first stage at this moment
    scores: Array  # f32 [TASKS, C]
    first: Array  # f32 [C] scores of the first stage
    order: Array  # f32 [C] room to find a threshold
    chosen: Array  # i32 [C] slots above it
    counts: Array  # i32 [BUCKETS]
    short: Array  # i64 [SHORTLIST + 1] candidate slots; ``SHORTLISTED`` are in use
    inputs: Array  # f32 [FEATURES + 1 and one row of zeros, SHORTLIST]
    second: Array  # f32 [SHORTLIST] scores of the second stage
    units: Array  # f32 [HIDDEN, SHORTLIST]
    units_of: Array  # f32 [HIDDEN] gradient of one candidate
    mood_of: Array  # i64 [T] position of an artist in ``moods``, with the turn
    mood_artists: Array  # i32 [MAX_MOODS] artist rows
    moods: Array  # f32 [MAX_MOODS, MOODS]
    felt: Array  # f32 [MAX_MOODS + 1, MOODS] features made of ``moods``; the last row is 0
    tracks: Array  # i32 [W] the listener's window, oldest first
    seconds: Array  # i64 [W]
    ratios: Array  # u8 [W]
    best: Array  # i64 [10] slots of a trial's list
    linear_step: Array  # f32 [FEATURES]
    hidden_step: Array  # f32 [INPUTS, HIDDEN]
    output_step: Array  # f32 [2, HIDDEN]


def new_scratch(config: ModelConfig) -> Scratch:
    """Allocate working memory for models of one configuration."""
    c, f4, i8 = MAX_CANDIDATES, np.float32, np.int64
    return Scratch(
        board=Board(
            turn=_apart(2, i8),
            tally=_apart(TALLY, i8),
            slot_of=_apart(config.tracks, i8),
            candidates=_apart(c, np.int32),
            evidence=_apart((c, EVIDENCE), f4),
        ),
        features=_apart((FEATURES, c + 48), f4),
        columns=_apart((POURED, c + 48), f4),
        raw=_apart((RAW, c + 48), f4),
        context=_apart(CONTEXTS, f4),
        linear=_apart(FEATURES, f4),
        scores=_apart((TASKS, c), f4),
        first=_apart(c, f4),
        order=_apart(c, f4),
        chosen=_apart(c, np.int32),
        counts=_apart(BUCKETS, np.int32),
        short=_apart(SHORTLIST + 1, i8),
        inputs=_apart((FEATURES + 2, SHORTLIST), f4),
        second=_apart(SHORTLIST, f4),
        units=_apart((HIDDEN, SHORTLIST), f4),
        units_of=_apart(HIDDEN, f4),
        mood_of=_apart(config.tracks, i8),
        mood_artists=_apart(MAX_MOODS, np.int32),
        moods=_apart((MAX_MOODS, MOODS), f4),
        felt=_apart((MAX_MOODS + 1, MOODS), f4),
        tracks=_apart(config.history, np.int32),
        seconds=_apart(config.history, i8),
        ratios=_apart(config.history, np.uint8),
        best=_apart(10, i8),
        linear_step=_apart(FEATURES, f4),
        hidden_step=_apart((INPUTS, HIDDEN), f4),
        output_step=_apart((2, HIDDEN), f4),
    )


def _apart(shape: int | tuple[int, ...], kind: type[np.generic]) -> Array:
    """Return zeros that begin a cache line, with a page of nothing before and behind them.

    A compiled loop runs in vectors only if what it writes is some way from what it reads, and it
    rounds differently when it does not. So results would depend on where the allocator puts small
    arrays: the same plays would not give the same model, bit by bit.
    """
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    room = np.zeros(size + 2 * _PAGE + _LINE, np.uint8)
    start = _PAGE + -(room.ctypes.data + _PAGE) % _LINE
    return room[start : start + size].view(kind).reshape(shape)
