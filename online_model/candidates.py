"""Gather the tracks worth ranking and the raw evidence for each, from bounded tables only.

Cost does not grow with the catalogue: a few dozen neighbour rows are read.
Sources: what follows (next and directed window), what shares a session and a listener (cosine),
the listener's own
plays (base-level activation of ACT-R, Anderson and Schooler 1991), the batch view, content, and
what is popular now.
"""

from __future__ import annotations

import numpy as np

from contracts.plays import SKIP_BELOW
from online_model._numba import inner
from online_model.features import (
    AFTER_SILENCE,
    E_ACTIVATION,
    E_ARTIST,
    E_BATCH,
    E_CONTENT,
    E_COUNT,
    E_EARLIER,
    E_IN_SESSION,
    E_LINKS,
    E_MATCH,
    E_NEAR,
    E_NEXT,
    E_NEXT2,
    E_OWN_NEXT,
    E_OWN_NEXT2,
    E_OWN_WINDOW,
    E_RECENCY,
    E_SESSION,
    E_SKIPPED,
    E_TASTE,
    E_VOTES,
    E_WINDOW,
    IN_SESSION,
    MOST_UNHEARD,
    POURED,
    STRANGER,
)
from online_model.logarithm import log2
from online_model.moods import feel, propose_by_artist
from online_model.scratch import (
    END,
    OWN_END,
    SESSION_PLAYS,
    SITUATION,
    WINDOW_PLAYS,
    Board,
    Scratch,
    begin,
    find_slot,
    stamped,
    touch,
)
from online_model.selection import nth_largest
from online_model.state import (
    CLOCK,
    GAP,
    HALF_LIFE,
    N_NEXT,
    N_SESSION,
    N_TASTE,
    N_WINDOW,
    ORIGIN,
    STEP,
    TASTE_TRACKS,
    TOP,
    TOP_TRACKS,
    TRACKS,
    Array,
    State,
)

_SESSION_TRACKS = 12
#: Seconds apart -> 1 to 0; a table spares the exponential.
_FAR = 511
_WITHIN_SECONDS = np.exp(-np.arange(_FAR + 1) / 7.0).astype(np.float32)
_WITHIN_A_MINUTE = np.exp(-np.arange(_FAR + 1) / 60.0).astype(np.float32)
#: Weight of ``E_ARTIST`` in a promise. Tracks of the artist just played have little other evidence,
#: and are often the first plays that a list can find: with 6 a quarter of these were not ranked.
_CALLED_FOR = np.float32(40.0)
#: Scale and weight of the evidence of a promise, in the order of :func:`_promises`.
_TRUST = np.array(
    [(1000.0, 1.5), (1000.0, 1.0), (1000.0, 0.3), (100.0, 1.0), (100.0, 0.6), (100.0, 1.0)],
    np.float32,
)


@inner
def weight_at(counters: Array, settings: Array, second: int) -> float:
    """Return the weight of a play at a second, in units of ``ORIGIN`` (forward decay)."""
    x = (second - counters[ORIGIN]) / settings[HALF_LIFE]
    return float(2.0 ** min(max(x, -20.0), 40.0))


@inner
def _pour(
    board: Board,
    ids: Array,
    weights: Array,
    row: int,
    scale: float,
    into: int | np.int64,
    limit: int,
) -> None:
    """Add a neighbour row, scaled, to one column of evidence."""
    by = np.float32(scale)
    for k in range(ids.shape[1]):
        track = ids[row, k] - 1
        if track < 0:
            return
        if track < limit:
            slot = touch(board, track)
            if slot >= 0:
                board.evidence[slot, into] += weights[row, k] * by


@inner
def _pour_next(
    state: State,
    board: Board,
    row: int,
    direct: float,
    into: int | np.int64,
    window: float,
    elapsed: int,
    limit: int,
) -> None:
    """Add a row of the next table: its direct weights, its window weights, and the time.

    Parameters
    ----------
    elapsed
        Seconds since the play of the row's track.
    """
    last = into == E_NEXT
    d, w = np.float32(direct), np.float32(window)
    for k in range(state.next_ids.shape[1]):
        track = state.next_ids[row, k] - 1
        if track < 0:
            return
        if track < limit:
            slot = touch(board, track)
            if slot < 0:
                continue
            board.evidence[slot, into] += state.next_direct[row, k] * d
            board.evidence[slot, E_WINDOW] += state.next_window[row, k] * w
            offset = int(state.next_offset[row, k])
            if offset > 0:
                apart = min(abs(int(elapsed) - offset), _FAR)
                if last:
                    board.evidence[slot, E_MATCH] += _WITHIN_SECONDS[apart]
                    board.evidence[slot, E_NEAR] += _WITHIN_A_MINUTE[apart]
                else:
                    board.evidence[slot, E_EARLIER] += _WITHIN_SECONDS[apart]


@inner
def _pour_pairs(
    state: State, board: Board, row: int, session: float, taste: float, limit: int
) -> None:
    """Add a row of the pair table: its session weights and its listener weights."""
    s, t = np.float32(session), np.float32(taste)
    vote = np.float32(1.0) if session > 0.0 else np.float32(0.0)
    for k in range(state.pair_ids.shape[1]):
        track = state.pair_ids[row, k] - 1
        if track < 0:
            return
        if track < limit:
            slot = touch(board, track)
            if slot >= 0:
                board.evidence[slot, E_SESSION] += state.pair_session[row, k] * s
                board.evidence[slot, E_TASTE] += state.pair_taste[row, k] * t
                board.evidence[slot, E_VOTES] += vote
                board.evidence[slot, E_LINKS] += np.float32(1.0)


@inner
def session_length(seconds: Array, plays: int, now: int, gap: float) -> int:
    """Return how many plays at the end of the window form the running session, 0 after a gap."""
    if plays == 0 or now - seconds[plays - 1] >= gap:
        return 0
    n = 1
    while n < plays and n < _SESSION_TRACKS and seconds[plays - n] - seconds[plays - n - 1] < gap:
        n += 1
    return n


@inner
def _own_history(scratch: Scratch, plays: int, session: int, now: int, gap: float) -> None:
    evidence, tally = scratch.board.evidence, scratch.board.tally
    for k in range(plays - 1, -1, -1):
        track = scratch.tracks[k]
        if track < 0:
            continue
        slot = touch(scratch.board, track)
        if slot < 0:
            continue
        age = max(now - scratch.seconds[k], 0) + 60.0
        if evidence[slot, E_COUNT] == 0:
            evidence[slot, E_RECENCY] = 1.0 / (plays - k)
        evidence[slot, E_ACTIVATION] += 1.0 / np.sqrt(age)
        evidence[slot, E_COUNT] += 1.0
        if k >= plays - session:
            evidence[slot, E_IN_SESSION] += 1.0
        if scratch.ratios[k] < SKIP_BELOW:
            evidence[slot, E_SKIPPED] += 1.0
    tally[OWN_END] = tally[END]
    last = scratch.tracks[plays - 1]
    if last >= 0:
        for k in range(plays - 2, -1, -1):
            if scratch.tracks[k] == last:
                _own_habit(scratch, plays, k, gap)


@inner
def _own_habit(scratch: Scratch, plays: int, at: int, gap: float) -> None:
    """Note what the listener played after an earlier play of the last track, at ``at``."""
    tracks, seconds, evidence = scratch.tracks, scratch.seconds, scratch.board.evidence
    last = tracks[at]
    end = at + 1
    while (
        end < min(plays, at + 6)
        and seconds[end] - seconds[end - 1] < gap
        and (end == at + 1 or tracks[end - 1] != last)
    ):
        end += 1
    for k in range(end - 1, at, -1):
        if tracks[k] < 0:
            continue
        slot = find_slot(scratch.board, tracks[k])
        if slot < 0:
            continue
        evidence[slot, E_OWN_WINDOW] += 1.0 / (k - at)
        if k == at + 1:
            evidence[slot, E_OWN_NEXT] += 1.0
            if k > 1 and tracks[k - 2] == tracks[plays - 2]:
                evidence[slot, E_OWN_NEXT2] += 1.0


@inner
def _situation(plays: int, session: int) -> int:
    if plays == 0:
        return STRANGER
    return IN_SESSION if session > 0 else AFTER_SILENCE


@inner
def gather(state: State, scratch: Scratch, plays: int, now: int) -> None:
    """Fill ``scratch.board`` for a window of plays: candidates, their evidence, the tally.

    Parameters
    ----------
    plays
        Plays in ``scratch.tracks`` (indices, -1 unknown), ``seconds`` and ``ratios``.
    now
        The second for which to rank.
    """
    propose(state, scratch, plays, now)
    keep_promising(scratch)


@inner
def propose(state: State, scratch: Scratch, plays: int, now: int) -> None:
    """Ask every source for candidates; parameters as in :func:`gather`."""
    board = scratch.board
    begin(board)
    limit = min(state.counters[TRACKS], state.track_key.shape[0])
    gap = state.settings[GAP]
    unit = weight_at(state.counters, state.settings, max(now, state.counters[CLOCK]))
    session = session_length(scratch.seconds, plays, now, gap)
    board.tally[SESSION_PLAYS] = session
    board.tally[WINDOW_PLAYS] = plays
    board.tally[SITUATION] = _situation(plays, session)
    if plays > 0:
        _own_history(scratch, plays, session, now, gap)
    feel(state, scratch, plays, session, unit)
    begins = _next_start(state, scratch, plays, now)
    weight = 1.0
    for q in range(min(4, max(session, 1), plays)):
        row = scratch.tracks[plays - 1 - q]
        if row >= 0:
            direct = 1.0 / (state.facts[row, N_NEXT] + unit) if q < 2 else 0.0
            window = weight / (state.facts[row, N_WINDOW] + unit)
            into = np.int64(E_NEXT2 if q else E_NEXT)
            elapsed = begins - scratch.seconds[plays - 1 - q]
            _pour_next(state, board, row, direct, into, window, elapsed, limit)
        weight *= 0.7
    _similar(state, scratch, plays, session, unit, limit)
    propose_by_artist(state, scratch, limit)
    for k in range(min(state.counters[TOP], TOP_TRACKS)):
        track = state.top[k]
        if 0 <= track < limit:
            touch(board, track)


@inner
def _next_start(state: State, scratch: Scratch, plays: int, now: int) -> int:
    """Return when the next play begins: now, or when the last track is likely to end."""
    last = scratch.tracks[plays - 1] if plays > 0 else -1
    if last < 0:
        return now
    return int(max(now, scratch.seconds[plays - 1] + int(state.facts[last, STEP])))


@inner
def _add_logarithm(
    values: Array, scale: float, by: float, start: int, end: int, out: Array
) -> None:
    """Add ``by * log2(1 + scale * value)``."""
    s, b = np.float32(scale), np.float32(by)
    for c in range(start, end):
        out[c] += b * log2(np.float32(1.0) + s * values[c])


@inner
def _promises(scratch: Scratch, start: int, end: int) -> None:
    """Fill ``scratch.first`` with how promising the evidence of each slot looks.

    A fixed sum, like the ranker's first trust in it: it only has to spare the ranker tracks that
    cannot come near the top.
    """
    evidence, raw, promise = scratch.board.evidence, scratch.raw, scratch.first
    for c in range(start, end):
        e = evidence[c]
        raw[0, c] = e[E_NEXT]
        raw[1, c] = e[E_WINDOW]
        raw[2, c] = e[E_NEXT2]
        raw[3, c] = e[E_SESSION]
        raw[4, c] = e[E_TASTE]
        raw[5, c] = e[E_BATCH] + e[E_CONTENT]
        promise[c] = _CALLED_FOR * e[E_ARTIST]
    for q in range(_TRUST.shape[0]):
        _add_logarithm(raw[q], _TRUST[q, 0], _TRUST[q, 1], start, end, promise)


@inner
def keep_promising(scratch: Scratch) -> None:
    """Keep the listener's own tracks and the ``MOST_UNHEARD`` most promising others.

    Slots keep their order; of candidates that promise equally much the first ones stay.
    """
    board = scratch.board
    own, end = board.tally[OWN_END], board.tally[END]
    n = end - own
    if n <= MOST_UNHEARD:
        return
    _promises(scratch, own, end)
    promise, order = scratch.first, scratch.order
    for k in range(n):
        order[k] = promise[own + k]
    cut, above = nth_largest(order, n, MOST_UNHEARD, scratch.counts)
    ties = MOST_UNHEARD - above
    kept, chosen = 0, scratch.chosen
    for c in range(own, end):
        equal = promise[c] == cut
        chosen[kept] = c
        kept += (promise[c] > cut) | (equal & (ties > 0))
        ties -= equal
    board.turn[0] += 1  # nobody is a candidate any more ...
    for c in range(1, own + kept):  # ... but these
        if c >= own:
            held = chosen[c - own]
            board.candidates[c] = board.candidates[held]
            for k in range(POURED):
                board.evidence[c, k] = board.evidence[held, k]
        board.slot_of[board.candidates[c]] = stamped(board.turn[0], c)
    board.tally[END] = own + kept


@inner
def _similar(
    state: State, scratch: Scratch, plays: int, session: int, unit: float, limit: int
) -> None:
    """Pour what goes with the newest distinct tracks, those of this session counting twice."""
    board = scratch.board
    distinct = 0
    weight = 1.0
    here = 1.0
    for k in range(plays - 1, -1, -1):
        row = scratch.tracks[k]
        within = k >= plays - max(session, 1)
        nearness = here if within else 0.0
        here *= 0.75
        if row < 0:
            continue
        slot = touch(board, row)
        # ``E_RECENCY`` names the newest play of a track: the others are repeats of it.
        if slot < 0 or abs(board.evidence[slot, E_RECENCY] * (plays - k) - 1.0) > 1e-3:
            continue
        to_session = nearness / np.sqrt(state.facts[row, N_SESSION] + 3.0 * unit)
        to_taste = weight / np.sqrt(state.facts[row, N_TASTE] + 5.0 * unit)
        _pour_pairs(state, board, row, to_session, to_taste, limit)
        # Not by the generation of the live model: an arm of an experiment has other tables.
        into = np.int64(E_BATCH)
        _pour(board, state.batch_ids, state.batch_weights, row, weight, into, limit)
        into = np.int64(E_CONTENT)
        _pour(board, state.content_ids, state.content_weights, row, weight, into, limit)
        weight *= 0.9
        distinct += 1
        if distinct >= state.settings[TASTE_TRACKS]:
            return
