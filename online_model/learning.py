"""Learn plays in stream order: window fold, ranker, neighbour tables, sessions, popularity."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.plays import SKIP_BELOW
from online_model._numba import compiled, inner
from online_model.artists import join_artist, learn_artists
from online_model.candidates import gather, weight_at
from online_model.features import ANY, E_COUNT, NEW
from online_model.hashing import find, insert
from online_model.neighbours import strengthen_both
from online_model.popularity import (
    count_play,
    listener_share,
    popularity_due,
    rebase_popularity,
)
from online_model.rows import take_row
from online_model.scoring import describe, score
from online_model.scratch import END, OWN_END, SITUATION, Board, Scratch, find_slot, stamped
from online_model.serving import select
from online_model.state import (
    A_SELF,
    ALIASES,
    ARTISTS,
    CLOCK,
    DUPLICATES,
    FORTNIGHT,
    FREE_LISTENERS,
    FREE_TRACKS,
    GAP,
    HALF_LIFE,
    HEARD,
    LATE,
    LISTENERS,
    N_NEXT,
    N_SESSION,
    N_TASTE,
    N_WINDOW,
    ORIGIN,
    PLAYS,
    POP_ORIGIN,
    POPULAR,
    RANKER_EVERY,
    SKIPPED,
    SKIPS,
    STEP,
    TASTE_TRACKS,
    TOP,
    TOP_TRACKS,
    TRACKS,
    TRIAL_ROWS,
    TRIALS,
    UPDATES,
    WARM_UP,
    Array,
    State,
)
from online_model.training import teach
from online_model.windows import DUPLICATE, FORGOTTEN, NEWEST, load, place, put

# A stranger's clock must not wipe everybody's memory: one play moves the model's clock by at most
# this many seconds, however far in the future it claims to be.
_LARGEST_STEP = 7 * 86_400
_LATEST = 2**32 - 1
_WINDOW = 5
_SESSION_REACH = 10
# Two plays of a session this many seconds apart belong together half as much as neighbours do.
_CLOSE = 600.0
#: From this code on a track was heard long enough for the next play to show its length.
_HALF = 50


@inner
def new_track(state: State, key: np.uint64) -> int:
    """Return a fresh row for a track, or -1 when all rows are taken."""
    row = take_row(state.counters, state.free_tracks, FREE_TRACKS, TRACKS)
    if row < 0:
        return -1
    state.track_key[row] = key
    state.last_play[row] = state.counters[CLOCK]
    if insert(state.alias_keys, state.alias_rows, key, row):
        state.counters[ALIASES] += 1
    return row


@compiled
def register(state: State, key: np.uint64, public: np.uint64) -> int:
    """Return the row of a track known by either key, new if need be; -1 when no row is free."""
    row = find(state.alias_keys, state.alias_rows, key)
    if row < 0 and public != 0:
        row = find(state.alias_keys, state.alias_rows, public)
        # Further names of a track are a convenience: they never crowd out new tracks.
        room = 4 * state.counters[ALIASES] < 3 * state.alias_keys.shape[0]
        if row >= 0 and room and insert(state.alias_keys, state.alias_rows, key, row):
            state.counters[ALIASES] += 1
    if row < 0:
        row = new_track(state, key)
    unnamed = row >= 0 and state.track_id_key[row] == 0 and public != key
    if unnamed and public != 0 and insert(state.alias_keys, state.alias_rows, public, row):
        state.counters[ALIASES] += 1
        state.track_id_key[row] = public
    return int(row)


@inner
def new_listener(state: State, key: np.uint64) -> int:
    """Return a fresh row for a listener, or -1 when all rows are taken."""
    row = take_row(state.counters, state.free_listeners, FREE_LISTENERS, LISTENERS)
    if row >= 0:
        state.listener_key[row] = key
        insert(state.listener_keys, state.listener_rows, key, row)
    return row


@inner
def play_weight(ratio: int) -> float:
    """Return how much a play counts as evidence: a skip little, half a track and more fully."""
    if ratio >= 50:  # 255, unknown, counts as played
        return 1.0
    return 0.1 + 0.018 * ratio


@inner
def _advance(state: State, second: int) -> None:
    counters = state.counters
    if counters[CLOCK] == 0:
        counters[CLOCK] = second
        counters[ORIGIN] = second
        counters[POP_ORIGIN] = second
        return
    if second > counters[CLOCK]:
        counters[CLOCK] = min(second, counters[CLOCK] + _LARGEST_STEP)
    if popularity_due(counters, counters[CLOCK]):
        rebase_popularity(state, counters[CLOCK])
    if counters[CLOCK] - counters[ORIGIN] > 20.0 * state.settings[HALF_LIFE]:
        _rebase_neighbours(state)


@inner
def _rebase_neighbours(state: State) -> None:
    scale = np.float32(1.0 / weight_at(state.counters, state.settings, state.counters[CLOCK]))
    for row in range(min(state.counters[TRACKS], state.track_key.shape[0])):
        for k in range(N_NEXT, N_TASTE + 1):
            state.facts[row, k] *= scale
        for k in range(state.next_ids.shape[1]):
            state.next_direct[row, k] *= scale
            state.next_window[row, k] *= scale
        for k in range(state.pair_ids.shape[1]):
            state.pair_session[row, k] *= scale
            state.pair_taste[row, k] *= scale
    for artist in range(min(state.counters[ARTISTS], state.artist_size.shape[0])):
        for k in range(A_SELF + 1):
            state.artist_facts[artist, k] *= scale
        for k in range(state.kin_ids.shape[1]):
            state.kin_next[artist, k] *= scale
            state.kin_shared[artist, k] *= scale
    state.counters[ORIGIN] = state.counters[CLOCK]


@inner
def _pace(settings: Array, done: int) -> int:
    """Return of how many plays the ranker learns one: of all at first, of ever fewer later."""
    return int(min(1.0 + done // max(settings[WARM_UP], 1.0), settings[RANKER_EVERY]))


@inner
def _learn_ranker(state: State, scratch: Scratch, plays: int, track: int, second: int) -> None:
    """Rank this moment as a request would, note where the play stood, and learn from it."""
    gather(state, scratch, plays, second)
    board = scratch.board
    slot = find_slot(board, track)
    proposed = slot >= 0
    describe(state, scratch, second)
    new = not proposed or board.evidence[slot, E_COUNT] == 0
    score(state, scratch, ANY)
    rank_any = _place_of(board, scratch.scores[0], slot, ANY) if proposed else 0
    novelty = _note_list(state, scratch)
    if proposed:
        teach(state, scratch, ANY, slot)
    rank_new = 0
    if new and proposed:
        score(state, scratch, NEW)
        rank_new = _place_of(board, scratch.scores[1], slot, NEW)
        teach(state, scratch, NEW, slot)
    popular = 0
    for k in range(min(state.counters[TOP], TOP_TRACKS)):
        if state.top[k] == track:
            popular = k + 1
            break
    row = state.counters[TRIALS] % TRIAL_ROWS
    state.trials[row, 0] = rank_any
    state.trials[row, 1] = rank_new if new else -1
    state.trials[row, 2] = board.tally[SITUATION]
    state.trials[row, 3] = popular
    state.trials[row, 4] = novelty
    state.counters[TRIALS] += 1
    if proposed:
        state.counters[UPDATES] += 1


@inner
def _note_list(state: State, scratch: Scratch) -> int:
    """Note which tracks a trial's ten best places show; return how little known they are.

    Novelty is the mean of ``-log2`` of each track's share of the last fortnight's plays (Zhou et
    al., PNAS 2010), in thousandths of a bit.
    """
    trial = np.int32(min(state.counters[TRIALS] + 1, 2**31 - 1))
    n = select(scratch, scratch.scores[0], scratch.best)
    bits = 0.0
    for q in range(n):
        track = scratch.board.candidates[scratch.best[q]]
        state.shown_at[track] = trial
        share = (state.facts[track, POPULAR + FORTNIGHT] + 1e-6) / (state.totals[FORTNIGHT] + 1.0)
        bits -= np.log2(min(max(share, 1e-9), 1.0))
    return int(1000.0 * bits / n) if n else 0


@inner
def _place_of(board: Board, scores: Array, slot: int, task: int) -> int:
    """Return the rank of a candidate among those a list of this task may show; ties above it."""
    start = board.tally[OWN_END] if task == 1 else 1
    above = 0 if slot >= start else 1
    for c in range(start, board.tally[END]):
        above += scores[c] >= scores[slot]  # itself too
    return above


@inner
def _learn_next(
    state: State, scratch: Scratch, plays: int, track: int, second: int, weight: float
) -> None:
    gap = state.settings[GAP]
    later = second
    for q in range(min(plays, _WINDOW)):
        k = plays - 1 - q
        row = scratch.tracks[k]
        together = later - scratch.seconds[k] < gap
        later = scratch.seconds[k]
        if not together and q > 0:
            return
        if row >= 0:
            direct = 0.0
            if q == 0:
                direct = weight if together else 0.3 * weight
            window = weight / (1.0 + 0.5 * q) if together else 0.0
            at = strengthen_both(
                state.next_ids, state.next_direct, state.next_window, row, track, direct, window
            )
            offset = second - scratch.seconds[k] if together else 0
            state.next_offset[row, at] = np.uint16(min(offset, 65_535))
            if q == 0 and together and scratch.ratios[k] >= _HALF:
                state.facts[row, STEP] = _median(state.facts[row, STEP], float(offset))
            state.facts[row, N_NEXT] += direct
            state.facts[row, N_WINDOW] += window
        if not together:
            return


@inner
def _median(value: float, seen: float) -> float:
    """Return a running median after one more value: near it the mean, else a fixed share."""
    if value == 0.0:
        return seen
    if abs(seen - value) <= 0.08 * value:
        return value + 0.2 * (seen - value)
    return value * (1.04 if seen > value else 0.96)


@inner
def _learn_pairs(
    state: State, scratch: Scratch, plays: int, track: int, second: int, weight: float
) -> None:
    """Pair the track with the newest distinct ones: of this session, and of this listener."""
    ids, session, taste = state.pair_ids, state.pair_session, state.pair_taste
    gap = state.settings[GAP]
    repeat = False
    for k in range(plays):
        repeat = repeat or scratch.tracks[k] == track
    state.facts[track, N_SESSION] += weight
    if not repeat:
        state.facts[track, N_TASTE] += weight
    board = scratch.board
    board.turn[0] += 1  # of no ranking: its slot 0 marks the tracks met on the way back
    later = second
    together = True
    distinct = 0
    for q in range(plays):
        k = plays - 1 - q
        row = scratch.tracks[k]
        together = together and later - scratch.seconds[k] < gap and q < _SESSION_REACH
        later = scratch.seconds[k]
        if not together and (repeat or distinct >= state.settings[TASTE_TRACKS]):
            return
        if row < 0 or row == track or find_slot(board, row) >= 0:
            continue
        board.slot_of[row] = stamped(board.turn[0], 0)
        here = 0.0
        if together:
            here = weight / ((1.0 + 0.3 * q) * (1.0 + (second - scratch.seconds[k]) / _CLOSE))
        ever = 0.0 if repeat or distinct >= state.settings[TASTE_TRACKS] else weight
        strengthen_both(ids, session, taste, row, track, here, ever)
        strengthen_both(ids, session, taste, track, row, here, ever)
        distinct += 1


class Names(NamedTuple):
    """Keys by which the tracks of plays are registered; each array has shape (n,)."""

    ready: Array  # bool: the keys of this position are known
    publics: Array  # u64 keys of public ids, 0 unknown
    artists: Array  # u64 keys of artists, 0 unknown
    met: Array  # i32 row of the track that the kernel registered for this play, else -1


@compiled
def learn_batch(
    state: State,
    scratch: Scratch,
    users: Array,
    tracks: Array,
    seconds: Array,
    ratios: Array,
    names: Names,
    start: int,
) -> int:
    """Learn plays from ``start`` on; return the position of the first that was not learned.

    A play is not learned if no row is free, or if its track has no row and no names yet.
    """
    for k in range(start, users.shape[0]):
        track = find(state.alias_keys, state.alias_rows, tracks[k])
        if track < 0:
            if not names.ready[k]:
                return k
            row = register(state, tracks[k], names.publics[k])
            if row < 0:
                return k
            if names.artists[k] != 0 and state.artist[row] == 0:
                join_artist(state, row, names.artists[k])
            names.met[k] = row
            track = find(state.alias_keys, state.alias_rows, tracks[k])
        listener = find(state.listener_keys, state.listener_rows, users[k])
        if listener < 0:
            listener = new_listener(state, users[k])
        if track < 0:  # its key found no room among the aliases
            track = new_track(state, tracks[k])
        if listener < 0 or track < 0:
            return k
        second = min(max(seconds[k], 1), _LATEST)
        ratio = int(ratios[k])
        kind, at = place(
            state.window_size, state.window_tracks, state.window_seconds, listener, track, second
        )
        if kind == DUPLICATE:
            state.counters[DUPLICATES] += 1
            continue
        if kind != NEWEST:
            state.counters[LATE] += 1
            if kind != FORGOTTEN:
                put(state, listener, at, track, second, ratio)
            continue
        _advance(state, second)
        plays = load(state, scratch, listener)
        skipped = ratio < SKIP_BELOW
        done = state.counters[PLAYS]
        if not skipped and done % _pace(state.settings, done) == 0:
            _learn_ranker(state, scratch, plays, track, second)
        # The clock, not the play's own second, dates the weights: see ``_LARGEST_STEP``.
        dated = min(second, state.counters[CLOCK])
        weight = weight_at(state.counters, state.settings, dated) * play_weight(ratio)
        _learn_next(state, scratch, plays, track, second, weight)
        _learn_pairs(state, scratch, plays, track, second, weight)
        learn_artists(state, scratch, plays, track, second, weight)
        share = listener_share(scratch.tracks, scratch.seconds, plays, track, second)
        count_play(state, track, dated, share * play_weight(ratio))
        if ratio != 255:
            state.facts[track, HEARD] += 1.0
            if skipped:
                state.facts[track, SKIPPED] += 1.0
                state.counters[SKIPS] += 1
        state.last_play[track] = dated
        state.listener_seen[listener] = dated
        put(state, listener, at, track, second, ratio)
        state.counters[PLAYS] = done + 1
    return int(users.shape[0])
