"""Compose one list from a window of plays; reads the arrays, writes only working memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from online_model._numba import compiled, inner
from online_model.candidates import gather
from online_model.features import ANY, FEATURES
from online_model.hashing import find
from online_model.scoring import describe, score
from online_model.scratch import END, OWN_END, WINDOW_PLAYS, Scratch, find_slot
from online_model.state import FORTNIGHT, POPULAR, TRACKS, Array, State

EXCLUDED = np.float32(-3e38)


@inner
def _exclude(state: State, scratch: Scratch, task: int, hidden: Array, just_played: int) -> None:
    """Put the candidates that must not be served below all others."""
    scores = scratch.scores[task]
    limit = state.track_key.shape[0]
    for q in range(hidden.shape[0]):
        track = find(state.alias_keys, state.alias_rows, hidden[q])
        if 0 <= track < limit:
            slot = find_slot(scratch.board, track)
            if slot >= 0:
                scores[slot] = EXCLUDED
    if task == 1:
        scores[1 : scratch.board.tally[OWN_END]] = EXCLUDED
    plays = scratch.board.tally[WINDOW_PLAYS]
    for q in range(min(just_played, plays)):
        track = scratch.tracks[plays - 1 - q]
        if track >= 0:
            slot = find_slot(scratch.board, track)
            if slot >= 0:
                scores[slot] = EXCLUDED


@inner
def _before(scratch: Scratch, scores: Array, a: int, b: int) -> bool:
    """Order of a list: score downwards, then track index upwards."""
    if scores[a] != scores[b]:
        return bool(scores[a] > scores[b])
    return bool(scratch.board.candidates[a] < scratch.board.candidates[b])


@inner
def select(scratch: Scratch, scores: Array, slots: Array) -> int:
    """Fill ``slots`` with the best candidates in order; return how many there are."""
    n = 0
    room = slots.shape[0]
    for c in range(1, scratch.board.tally[END]):
        if scores[c] <= EXCLUDED:
            continue
        if n == room:
            if not _before(scratch, scores, c, slots[n - 1]):
                continue
            at = n - 1
        else:
            at = n
            n += 1
        while at > 0 and _before(scratch, scores, c, slots[at - 1]):
            slots[at] = slots[at - 1]
            at -= 1
        slots[at] = c
    return n


class Window(NamedTuple):
    """A listener's plays, oldest first."""

    tracks: Array  # u64 [n] keys
    seconds: Array  # i64 [n] since the epoch
    ratios: Array  # u8 [n] per cent heard, 255 unknown


class Wanted(NamedTuple):
    """What a list is asked for."""

    now: int  # the second for which to rank
    task: int  # features.ANY or features.NEW
    hidden: Array  # u64 [h] keys of tracks never to show
    just_played: int  # leave out the newest plays, this many
    artist_cap: int  # most tracks of one artist, 0 for no limit


class ListRoom(NamedTuple):
    """Room for one list of up to ``k`` tracks, which ``serve`` fills in their order."""

    pool: Array  # i64 [p] for the best candidates before the artist cap thins them out
    slots: Array  # i64 [k] their slots in ``scratch``
    indices: Array  # i32 [k] their rows
    scores: Array  # f32 [k]
    features: Array  # f32 [k, FEATURES]


def new_room(k: int, pool: int) -> ListRoom:
    """Allocate room for a list of ``k`` tracks, chosen from a pool of the best candidates."""
    return ListRoom(
        np.zeros(pool, np.int64),
        np.zeros(k, np.int64),
        np.zeros(k, np.int32),
        np.zeros(k, np.float32),
        np.zeros((k, FEATURES), np.float32),
    )


@compiled
def serve(
    state: State, scratch: Scratch, window: Window, wanted: Wanted, out: ListRoom
) -> tuple[int, int]:
    """Rank for a window of plays; return the length of the list and the known plays."""
    room = scratch.tracks.shape[0]
    limit = min(state.counters[TRACKS], state.track_key.shape[0])
    plays = min(window.tracks.shape[0], room)
    older = window.tracks.shape[0] - plays
    known = 0
    for k in range(plays):
        row = find(state.alias_keys, state.alias_rows, window.tracks[older + k])
        if row < 0 or row >= limit:
            row = -1
        else:
            known += 1
        scratch.tracks[k] = row
        scratch.seconds[k] = window.seconds[older + k]
        scratch.ratios[k] = window.ratios[older + k]
    if known == 0:
        plays = 0
    task = wanted.task
    gather(state, scratch, plays, wanted.now)
    describe(state, scratch, wanted.now)
    score(state, scratch, task)
    _exclude(state, scratch, task, wanted.hidden, wanted.just_played)
    scores = scratch.scores[task]
    found = select(scratch, scores, out.pool)
    n = 0
    for q in range(found):
        if n == out.indices.shape[0]:
            break
        slot = out.pool[q]
        track = scratch.board.candidates[slot]
        if wanted.artist_cap > 0 and state.artist[track] != 0:
            same = 0
            for other in range(n):
                if state.artist[out.indices[other]] == state.artist[track]:
                    same += 1
            if same >= wanted.artist_cap:
                continue
        out.slots[n] = slot
        out.indices[n] = track
        out.scores[n] = scores[slot]
        for f in range(FEATURES):
            out.features[n, f] = scratch.features[f, slot]
        n += 1
    return n, known


@compiled
def score_rows(
    state: State,
    scratch: Scratch,
    tracks: Array,
    seconds: Array,
    ratios: Array,
    now: int,
    rows: Array,
    out: Array,
) -> None:
    """Score given track rows for a window of rows (task 0); non-candidates by popularity.

    A track no source proposes scores below every candidate, in the order of its popularity.
    """
    plays = tracks.shape[0]
    for k in range(plays):
        scratch.tracks[k] = tracks[k]
        scratch.seconds[k] = seconds[k]
        scratch.ratios[k] = ratios[k]
    gather(state, scratch, plays, now)
    describe(state, scratch, now)
    score(state, scratch, ANY)
    lowest = 0.0
    for c in range(1, scratch.board.tally[END]):
        lowest = min(lowest, scratch.scores[0, c])
    for q in range(rows.shape[0]):
        row = rows[q]
        slot = find_slot(scratch.board, row) if row >= 0 else -1
        if row < 0:
            out[q] = lowest - 2.0
        elif slot >= 0:
            out[q] = scratch.scores[0, slot]
        else:
            out[q] = (
                lowest
                - 2.0
                + state.facts[row, POPULAR + FORTNIGHT] / (state.totals[FORTNIGHT] + 1e-9)
            )
