"""How a listener stands to artists at one moment, and the tracks this proposes.

All of it is computed from the window of plays, so serving needs nothing but the window, and nothing
of a listener is kept. A *mood* is a row of numbers for one artist: share of the session and of the
window, skips, how often it follows the last artist, how much it shares with the newest artists. The
ranker reads the mood of each candidate's artist (:mod:`online_model.scoring`).
"""

from __future__ import annotations

import numpy as np

from contracts.plays import SKIP_BELOW
from online_model._numba import inner
from online_model.features import (
    E_ARTIST,
    E_ARTIST_RANK,
    E_COUNT,
    E_RECENCY,
    M_DISTINCT,
    M_KIN,
    M_NEXT,
    M_PLAYS,
    M_RECENCY,
    M_SESSION,
    M_SKIPS,
    M_TASTE,
    MAX_MOODS,
    MOODS,
)
from online_model.scratch import (
    FELT,
    OWN_ARTISTS,
    SESSION_ARTISTS,
    STREAK,
    Scratch,
    find_slot,
    slot_in,
    stamped,
    touch,
)
from online_model.state import A_NEXT, A_PLAYS, A_SELF, ARTISTS, Array, State

_F = np.float32
_SESSION_FADE = 0.85
_TASTE_FADE = 0.985
_ASKED = 8
"""Newest artists that are asked for kin and for tracks."""

_CHOSEN = 6
"""Further artists asked for tracks: so many of the listener's, and so many kin."""


@inner
def mood_of(scratch: Scratch, artist: int) -> int:
    """Return the row in ``scratch.moods`` of an artist, or -1."""
    if artist < 0 or artist >= scratch.mood_of.shape[0]:
        return -1
    return int(slot_in(scratch.board.turn[1], scratch.mood_of[artist]))


@inner
def _touch_mood(scratch: Scratch, artist: int) -> int:
    turn, tally = scratch.board.turn[1], scratch.board.tally
    found = slot_in(turn, scratch.mood_of[artist])
    if found >= 0:
        return int(found)
    at = tally[FELT]
    if at >= MAX_MOODS:
        return -1
    tally[FELT] = at + 1
    scratch.mood_of[artist] = stamped(turn, at)
    scratch.mood_artists[at] = artist
    for k in range(MOODS):
        scratch.moods[at, k] = 0.0
    return int(at)


@inner
def feel(state: State, scratch: Scratch, plays: int, session: int, unit: float) -> None:
    """Fill ``scratch.moods`` from the window, the newest artist first, then kin.

    Call after the listener's own plays were put on the board.

    Parameters
    ----------
    plays, session
        Plays in the window, and how many at its end form the running session.
    unit
        Weight of a play now (:func:`online_model.candidates.weight_at`).
    """
    tally = scratch.board.tally
    tally[FELT] = 0
    tally[SESSION_ARTISTS] = 0
    tally[STREAK] = 0
    limit = min(state.counters[ARTISTS], state.artist_size.shape[0])
    if limit > 0:
        _feel_window(state, scratch, plays, session, limit)
    tally[OWN_ARTISTS] = tally[FELT]
    for at in range(min(_ASKED, tally[OWN_ARTISTS])):
        _feel_kin(state, scratch, at, unit, limit)


@inner
def _feel_window(state: State, scratch: Scratch, plays: int, session: int, limit: int) -> None:
    tally, moods, evidence = scratch.board.tally, scratch.moods, scratch.board.evidence
    here, ever = 1.0, 1.0
    unbroken = True
    for q in range(plays):
        row = scratch.tracks[plays - 1 - q]
        artist = state.track_artist[row] - 1 if row >= 0 else -1
        at = _touch_mood(scratch, artist) if 0 <= artist < limit else -1
        unbroken = unbroken and at == 0
        if at >= 0:
            mood = moods[at]
            if mood[M_PLAYS] == 0:
                mood[M_RECENCY] = 1.0 / (q + 1.0)
            mood[M_PLAYS] += 1.0
            mood[M_TASTE] += ever
            if q < session:
                mood[M_SESSION] += here
                tally[SESSION_ARTISTS] = tally[FELT]
                tally[STREAK] += unbroken
            if scratch.ratios[plays - 1 - q] < SKIP_BELOW:
                mood[M_SKIPS] += 1.0
            slot = find_slot(scratch.board, row)
            # ``E_RECENCY`` names the newest play of a track: the others are repeats of it.
            if slot >= 0 and abs(evidence[slot, E_RECENCY] * (q + 1.0) - 1.0) < 1e-3:
                mood[M_DISTINCT] += 1.0
        here *= _SESSION_FADE
        ever *= _TASTE_FADE


@inner
def _feel_kin(state: State, scratch: Scratch, at: int, unit: float, limit: int) -> None:
    artist, moods, facts = scratch.mood_artists[at], scratch.moods, state.artist_facts
    weight = _F(0.75**at / np.sqrt(facts[artist, A_PLAYS] + 3.0 * unit))
    follows = _F(1.0 / (facts[artist, A_NEXT] + unit)) if at == 0 else _F(0.0)
    if at == 0:
        moods[0, M_NEXT] += facts[artist, A_SELF] * follows
    for k in range(state.kin_ids.shape[1]):
        other = state.kin_ids[artist, k] - 1
        if other < 0:
            return
        if other >= limit:
            continue
        to = _touch_mood(scratch, other)
        if to >= 0:
            moods[to, M_NEXT] += state.kin_next[artist, k] * follows
            norm = np.sqrt(facts[other, A_PLAYS] + _F(3.0 * unit))
            moods[to, M_KIN] += state.kin_shared[artist, k] * weight / norm


@inner
def propose_by_artist(state: State, scratch: Scratch, limit: int) -> None:
    """Put tracks of the artists of the moment on the board: best known, and met last."""
    tally = scratch.board.tally
    own, felt = tally[OWN_ARTISTS], tally[FELT]
    strength = 1.0
    for at in range(min(_ASKED, own)):
        known = 24 if at == 0 else 8
        _pour_artist(state, scratch, at, known, known // 4, strength, limit)
        strength *= 0.85
    _pour_best(state, scratch, _ASKED, own, M_TASTE, 6, 0.3, limit)
    _pour_best(state, scratch, own, felt, M_KIN, 4, 0.3, limit)


@inner
def _pour_best(
    state: State,
    scratch: Scratch,
    start: int,
    end: int,
    by: int,
    known: int,
    strength: float,
    limit: int,
) -> None:
    """Pour the artists of a range of moods that stand highest by one of their numbers."""
    before, last = _F(3e38), -1
    for _ in range(_CHOSEN):
        best, highest = -1, _F(0.0)
        for at in range(start, end):
            value = scratch.moods[at, by]
            if value > highest and (value < before or (value == before and at > last)):
                best, highest = at, value
        if best < 0:
            return
        _pour_artist(state, scratch, best, known, 1, strength, limit)
        before, last = highest, best


@inner
def _pour_artist(
    state: State,
    scratch: Scratch,
    at: int,
    known: int,
    newest: int,
    strength: float,
    limit: int,
) -> None:
    """Put an artist's tracks on the board: so many best known unheard ones, so many met last."""
    board, artist = scratch.board, scratch.mood_artists[at]
    unheard = 0
    for k in range(state.known_ids.shape[1]):
        track = state.known_ids[artist, k] - 1
        if track < 0 or unheard >= known:
            break
        if track < limit:
            unheard += _put(scratch, track, unheard, strength)
    width = state.newest_ids.shape[1]
    met = state.artist_met[artist]
    for q in range(min(newest, met, width)):
        track = state.newest_ids[artist, (met - 1 - q) % width] - 1
        if 0 <= track < limit and find_slot(board, track) < 0:
            unheard += _put(scratch, track, unheard, strength)


@inner
def _put(scratch: Scratch, track: int, unheard: int, strength: float) -> int:
    """Put a track on the board; return 1 if the listener's window does not hold it."""
    board = scratch.board
    slot = touch(board, track)
    if slot < 0 or board.evidence[slot, E_COUNT] > 0:
        return 0
    rank = _F(1.0 / (1.0 + unheard))
    board.evidence[slot, E_ARTIST_RANK] = rank
    board.evidence[slot, E_ARTIST] = max(
        board.evidence[slot, E_ARTIST], _F(strength * (0.25 + 0.75 * rank))
    )
    return 1


@inner
def total_mood(moods: Array, end: int, column: int | np.int64) -> np.float32:
    """Return the sum of a column over the first ``end`` moods plus 1e-6: it can be a divisor."""
    total = _F(1e-6)
    for at in range(end):
        total += moods[at, column]
    return total
