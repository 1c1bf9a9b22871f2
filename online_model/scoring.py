"""From evidence to scores: features, and a ranker of two stages.

The first stage is linear, per task and situation, over all candidates; it learns fast and carries
the first plays of a new model. The second looks at its best ``SHORTLIST`` candidates again:

    first  = linear[k, s] . x
    second = first + output[k, 1] . relu(output[k, 0] + hidden[k]^T [x; first - max first; c])

with features ``x``, context ``c``, task ``k`` and situation ``s``. It bends the scores where one
source's worth depends on another's, or on the moment. The softmax of either stage is read as the
chance that a candidate is played next.
"""

from __future__ import annotations

import numpy as np

from online_model._numba import inner
from online_model.features import (
    CONTEXTS,
    E_ACTIVATION,
    E_BATCH,
    E_CONTENT,
    E_COUNT,
    E_IN_SESSION,
    E_LINKS,
    E_NEAREST,
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
    FEATURE_NAMES,
    FEATURES,
    HIDDEN,
    SHORTLIST,
)
from online_model.logarithm import log2
from online_model.scratch import Board, Scratch
from online_model.selection import nth_largest
from online_model.state import (
    HEARD,
    N_NEXT,
    N_SESSION,
    N_TASTE,
    POPULAR,
    SKIPPED,
    Array,
    State,
)

_F = np.float32
F_ACTIVATION = FEATURE_NAMES.index("activation")
F_BATCH = FEATURE_NAMES.index("batch")
F_CONTENT = FEATURE_NAMES.index("content")
F_COUNT = FEATURE_NAMES.index("count")
F_HEARD = FEATURE_NAMES.index("heard")
F_IN_SESSION = FEATURE_NAMES.index("in_session")
F_IS_LAST = FEATURE_NAMES.index("is_last")
F_LINKS = FEATURE_NAMES.index("links")
F_NEAREST = FEATURE_NAMES.index("nearest")
F_NEXT = FEATURE_NAMES.index("next")
F_NEXT2 = FEATURE_NAMES.index("next2")
F_NEXT_LIFT = FEATURE_NAMES.index("next_lift")
F_NEXT_SHARE = FEATURE_NAMES.index("next_share")
F_NEXT_X_ACTIVATION = FEATURE_NAMES.index("next_x_activation")
F_NEXT_X_IN_SESSION = FEATURE_NAMES.index("next_x_in_session")
F_NEXT_X_NEAREST = FEATURE_NAMES.index("next_x_nearest")
F_NEXT_X_SESSION = FEATURE_NAMES.index("next_x_session")
F_OWN_NEXT = FEATURE_NAMES.index("own_next")
F_OWN_NEXT2 = FEATURE_NAMES.index("own_next2")
F_OWN_WINDOW = FEATURE_NAMES.index("own_window")
F_POPULAR_DAY = FEATURE_NAMES.index("popular_day")
F_POPULAR_FORTNIGHT = FEATURE_NAMES.index("popular_fortnight")
F_POPULAR_HOUR = FEATURE_NAMES.index("popular_hour")
F_RECENCY = FEATURE_NAMES.index("recency")
F_SAME_ARTIST = FEATURE_NAMES.index("same_artist")
F_SESSION = FEATURE_NAMES.index("session")
F_SESSION_SHARE = FEATURE_NAMES.index("session_share")
F_SESSION_X_TASTE = FEATURE_NAMES.index("session_x_taste")
F_SKIPPED = FEATURE_NAMES.index("skipped")
F_SKIP_RATE = FEATURE_NAMES.index("skip_rate")
F_TASTE = FEATURE_NAMES.index("taste")
F_TASTE_SHARE = FEATURE_NAMES.index("taste_share")
F_VOTES = FEATURE_NAMES.index("votes")
F_WINDOW = FEATURE_NAMES.index("window")
F_WINDOW_LIFT = FEATURE_NAMES.index("window_lift")
# log2(1 + x) times this is log(1 + x) / 3: keeps features of order one.
_THIRD = 0.23104906
_NATURAL = 0.69314718
# Evidence that becomes ``by * log2(1 + scale * evidence)``: its column and feature, scale and by.
# Tables, because numba compiles a function anew for every constant it is called with.
_LOGARITHMS = np.array(
    [
        (E_NEXT2, F_NEXT2),
        (E_VOTES, F_VOTES),
        (E_LINKS, F_LINKS),
        (E_NEAREST, F_NEAREST),
        (E_ACTIVATION, F_ACTIVATION),
        (E_COUNT, F_COUNT),
        (E_OWN_NEXT, F_OWN_NEXT),
        (E_OWN_NEXT2, F_OWN_NEXT2),
        (E_OWN_WINDOW, F_OWN_WINDOW),
        (E_SKIPPED, F_SKIPPED),
        (E_BATCH, F_BATCH),
        (E_CONTENT, F_CONTENT),
    ]
)
_SCALES = np.array(
    [
        (1000.0, _THIRD),
        (1.0, _THIRD),
        (1.0, _THIRD),
        (5.0, _THIRD),
        (1000.0, _THIRD),
        (1.0, _NATURAL),
        (1.0, _NATURAL),
        (1.0, _NATURAL),
        (1.0, _NATURAL),
        (1.0, _NATURAL),
        (100.0, _THIRD),
        (100.0, _THIRD),
    ]
)
_PRODUCTS = np.array(
    [
        (F_NEXT, F_SESSION, F_NEXT_X_SESSION),
        (F_SESSION, F_TASTE, F_SESSION_X_TASTE),
        (F_NEXT, F_IN_SESSION, F_NEXT_X_IN_SESSION),
        (F_NEXT, F_ACTIVATION, F_NEXT_X_ACTIVATION),
        (F_NEXT, F_NEAREST, F_NEXT_X_NEAREST),
    ]
)


@inner
def share_scales(state: State) -> tuple[float, float, float]:
    """Return what turns a popularity column's weight into a share of all plays."""
    return (
        1.0 / (state.totals[0] + 1e-9),
        1.0 / (state.totals[1] + 1e-9),
        1.0 / (state.totals[2] + 1e-9),
    )


@inner
def _column(scratch: Scratch, column: int | np.int64, out: Array) -> None:
    for c in range(scratch.board.tally[0]):
        out[c] = scratch.board.evidence[c, column]


@inner
def _squash(row: Array, scale: float, by: float, end: int, out: Array) -> None:
    """Set ``out = by * log2(1 + scale * row)``."""
    s, b = _F(scale), _F(by)
    for c in range(end):
        out[c] = log2(_F(1.0) + s * row[c]) * b


@inner
def situation_of(board: Board) -> int:
    """Return the situation of the list on the board: one of ``features.SITUATIONS``."""
    if board.tally[2] == 0:
        return 2
    return 0 if board.tally[1] > 0 else 1


@inner
def describe(state: State, scratch: Scratch, plays: int, now: int, unit: float) -> int:
    """Fill ``scratch.features`` and ``scratch.context``; return the situation.

    Parameters
    ----------
    unit
        Weight of a play now (:func:`online_model.candidates.weight_at`).
    """
    describe_tracks(state, scratch, plays, unit)
    _describe_moment(state, scratch, plays, now, unit)
    return situation_of(scratch.board)


@inner
def describe_tracks(state: State, scratch: Scratch, plays: int, unit: float) -> None:
    """Fill ``scratch.features`` from the evidence on the board, for all candidates."""
    end = scratch.board.tally[0]
    last = scratch.tracks[plays - 1] if plays > 0 else -1
    last_artist = state.artist[last] if last >= 0 else np.uint64(0)
    hour, day, fortnight = share_scales(state)
    x, raw, facts = scratch.features, scratch.raw, state.facts
    x[:, 0] = _F(0.0)
    # What must be looked up per track comes first; all that follows runs over whole rows.
    for c in range(1, end):
        track = scratch.board.candidates[c]
        raw[0, c] = _F(1.0) / np.sqrt(facts[track, N_SESSION] + _F(3.0 * unit))
        raw[1, c] = _F(1.0) / np.sqrt(facts[track, N_TASTE] + _F(5.0 * unit))
        raw[2, c] = facts[track, POPULAR] * _F(hour)
        raw[3, c] = facts[track, POPULAR + 1] * _F(day)
        raw[4, c] = facts[track, POPULAR + 2] * _F(fortnight)
        x[F_SKIP_RATE, c] = facts[track, SKIPPED] / (facts[track, HEARD] + _F(5.0))
        x[F_IS_LAST, c] = _F(1.0) if track == last else _F(0.0)
    x[F_SAME_ARTIST, :end] = _F(0.0)
    if last_artist != 0:
        for c in range(1, end):
            if state.artist[scratch.board.candidates[c]] == last_artist:
                x[F_SAME_ARTIST, c] = _F(1.0)
    a, floor = raw[6], raw[5]
    for c in range(end):
        floor[c] = raw[4, c] + _F(1e-4)
    _column(scratch, np.int64(E_NEXT), a)
    _squash(a, 1000.0, _THIRD, end, x[F_NEXT])
    for c in range(end):
        x[F_NEXT_SHARE, c] = a[c] * _F(2.0)
        x[F_NEXT_LIFT, c] = log2((a[c] + _F(1e-4)) / floor[c]) * _F(_THIRD)
    _column(scratch, np.int64(E_WINDOW), a)
    _squash(a, 1000.0, _THIRD, end, x[F_WINDOW])
    for c in range(end):
        x[F_WINDOW_LIFT, c] = log2((a[c] + _F(1e-4)) / floor[c]) * _F(_THIRD)
    _column(scratch, np.int64(E_SESSION), a)
    for c in range(end):
        x[F_SESSION_SHARE, c] = a[c] * raw[0, c]
    _squash(x[F_SESSION_SHARE], 300.0, _THIRD, end, x[F_SESSION])
    _column(scratch, np.int64(E_TASTE), a)
    for c in range(end):
        x[F_TASTE_SHARE, c] = a[c] * raw[1, c]
    _squash(x[F_TASTE_SHARE], 300.0, _THIRD, end, x[F_TASTE])
    for q in range(_LOGARITHMS.shape[0]):
        _column(scratch, _LOGARITHMS[q, 0], a)
        _squash(a, _SCALES[q, 0], _SCALES[q, 1], end, x[_LOGARITHMS[q, 1]])
    _column(scratch, np.int64(E_COUNT), x[F_HEARD])
    _column(scratch, np.int64(E_IN_SESSION), x[F_IN_SESSION])
    _column(scratch, np.int64(E_RECENCY), x[F_RECENCY])
    for c in range(end):
        x[F_HEARD, c] = min(x[F_HEARD, c], _F(1.0))
        x[F_IN_SESSION, c] = min(x[F_IN_SESSION, c], _F(1.0))
    _squash(raw[2], 1e3, _THIRD, end, x[F_POPULAR_HOUR])
    _squash(raw[3], 1e4, _THIRD, end, x[F_POPULAR_DAY])
    _squash(raw[4], 1e4, _THIRD, end, x[F_POPULAR_FORTNIGHT])
    for q in range(_PRODUCTS.shape[0]):
        left, right, product = x[_PRODUCTS[q, 0]], x[_PRODUCTS[q, 1]], x[_PRODUCTS[q, 2]]
        for c in range(end):
            product[c] = left[c] * right[c]


@inner
def _describe_moment(state: State, scratch: Scratch, plays: int, now: int, unit: float) -> None:
    session = scratch.board.tally[1]
    inside = 0
    known = 0
    # A play is a repeat when an older play of its track is in the window: all but one of each
    # track's plays are, so distinct tracks count the others.
    distinct = 0
    for c in range(1, min(scratch.board.tally[0], plays + 1)):
        if scratch.board.evidence[c, E_COUNT] > 0:
            distinct += 1
            known += int(scratch.board.evidence[c, E_COUNT])
            if scratch.board.evidence[c, E_IN_SESSION] > 0:
                inside += int(scratch.board.evidence[c, E_IN_SESSION]) - 1
    repeats = known - distinct
    context = scratch.context
    context[0] = 1.0
    context[1] = 1.0 if plays > 0 and session == 0 else 0.0
    context[2] = 1.0 if plays == 0 else 0.0
    context[3] = np.log(1.0 + session) * 0.5
    context[4] = np.log(1.0 + plays) * 0.25
    silence = float(now - scratch.seconds[plays - 1]) if plays > 0 else 0.0
    context[5] = np.log(1.0 + max(silence, 0.0) / 60.0) * 0.2
    context[6] = (repeats + 0.5) / (plays + 2.0)
    context[7] = (inside + 0.2) / (session + 1.0)
    last = scratch.tracks[plays - 1] if plays > 0 else -1
    context[8] = 1.0 if plays > 1 and last == scratch.tracks[plays - 2] else 0.0
    context[9] = np.log(1.0 + state.facts[last, N_NEXT] / unit) * 0.2 if last >= 0 else 0.0
    ratio = scratch.ratios[plays - 1] if plays > 0 else np.uint8(255)
    context[10] = 0.0 if ratio == 255 else 1.0 - ratio / 100.0


@inner
def score(state: State, scratch: Scratch, task: int, situation: int) -> None:
    """Fill ``scratch.scores[task]`` for every candidate, both stages."""
    end = scratch.board.tally[0]
    first = scratch.first
    score_first(state, scratch, task, situation)
    _choose_shortlist(scratch, task)
    score_second(state, scratch, task, best_of_shortlist(scratch))
    scores = scratch.scores[task]
    n = scratch.board.tally[3]
    for c in range(1, end):
        scores[c] = first[c]
    if n == 0:
        return
    lowest = scratch.second[0]
    weakest = first[scratch.short[0]]
    for q in range(n):
        lowest = min(lowest, scratch.second[q])
        weakest = min(weakest, first[scratch.short[q]])
    # Whoever missed the shortlist stays below all of it, in the order of the first stage.
    shift = lowest - weakest - _F(1.0)
    for c in range(1, end):
        scores[c] = min(first[c], weakest) + shift
    for q in range(n):
        scores[scratch.short[q]] = scratch.second[q]


@inner
def score_first(state: State, scratch: Scratch, task: int, situation: int) -> None:
    """Fill ``scratch.first`` for every candidate: the linear stage."""
    end = scratch.board.tally[0]
    first = scratch.first
    for c in range(end):
        first[c] = 0.0
    for f in range(FEATURES):
        w = state.linear[task, situation, f]
        x = scratch.features[f]
        for c in range(1, end):
            first[c] += w * x[c]


@inner
def _choose_shortlist(scratch: Scratch, task: int) -> None:
    """Put the best candidates of the first stage into ``scratch.short``, in slot order."""
    end = scratch.board.tally[0]
    first, order = scratch.first, scratch.order
    n = 0
    for c in range(1, end):
        if task == 0 or scratch.board.evidence[c, E_COUNT] == 0:
            order[n] = first[c]
            n += 1
    room = SHORTLIST
    cut = _F(-3e38)
    if n > room:
        cut = nth_largest(order, n, room)
    above = 0
    for k in range(n):
        above += order[k] > cut
    ties = room - above
    m = 0
    for c in range(1, end):
        if task == 1 and scratch.board.evidence[c, E_COUNT] > 0:
            continue
        if first[c] < cut or m == room:
            continue
        if first[c] == cut:
            if ties == 0:
                continue
            ties -= 1
        scratch.short[m] = c
        m += 1
    scratch.board.tally[3] = m


@inner
def best_of_shortlist(scratch: Scratch) -> np.float32:
    """Return the highest score of the first stage on the shortlist."""
    best = _F(-3e38)
    for q in range(scratch.board.tally[3]):
        best = max(best, scratch.first[scratch.short[q]])
    return best


@inner
def score_second(state: State, scratch: Scratch, task: int, best: np.float32) -> None:
    """Fill ``scratch.second``: the first stage's score plus what the hidden units make of it.

    Parameters
    ----------
    best
        Highest score of the first stage (:func:`best_of_shortlist`).
    """
    n = scratch.board.tally[3]
    short, inputs, second = scratch.short, scratch.inputs, scratch.second
    for f in range(FEATURES):
        x = scratch.features[f]
        for q in range(n):
            inputs[f, q] = x[short[q]]
    for q in range(n):
        second[q] = scratch.first[short[q]]
        inputs[FEATURES, q] = (second[q] - best) * _F(0.25)
    hidden = state.hidden[task]
    for h in range(HIDDEN):
        units = scratch.units[h]
        base = state.output[task, 0, h]
        for k in range(CONTEXTS):
            base += hidden[FEATURES + 1 + k, h] * scratch.context[k]
        for q in range(n):
            units[q] = base
        for f in range(FEATURES + 1):
            w = hidden[f, h]
            for q in range(n):
                units[q] += w * inputs[f, q]
        v = state.output[task, 1, h]
        for q in range(n):
            second[q] += v * max(units[q], _F(0.0))
