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
    E_AFTER,
    E_AGE,
    E_BATCH,
    E_CONTENT,
    E_COUNT,
    E_FRESH,
    E_IN_SESSION,
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
    E_WINDOW,
    FEATURE_NAMES,
    FEATURES,
    HIDDEN,
    SHORTLIST,
)
from online_model.logarithm import log2
from online_model.scratch import Scratch
from online_model.state import Array, State

_F = np.float32
F_IS_LAST = FEATURE_NAMES.index("is_last")
F_SKIP_RATE = FEATURE_NAMES.index("skip_rate")
F_SAME_ARTIST = FEATURE_NAMES.index("same_artist")
# log2(1 + x) times this is log(1 + x) / 3: keeps features of order one.
_THIRD = 0.23104906
_NATURAL = 0.69314718


@inner
def share_scales(state: State) -> tuple[float, float, float]:
    """Return what turns a popularity column's weight into a share of all plays."""
    return (
        1.0 / (state.totals[0] + 1e-9),
        1.0 / (state.totals[1] + 1e-9),
        1.0 / (state.totals[2] + 1e-9),
    )


@inner
def _column(scratch: Scratch, column: int, out: Array) -> None:
    for c in range(scratch.board.tally[0]):
        out[c] = scratch.board.evidence[c, column]


@inner
def _squash(row: Array, scale: float, by: float, end: int, out: Array) -> None:
    """Set ``out = by * log2(1 + scale * row)``."""
    s, b = _F(scale), _F(by)
    for c in range(end):
        out[c] = log2(_F(1.0) + s * row[c]) * b


@inner
def _times(a: Array, b: Array, end: int, out: Array) -> None:
    for c in range(end):
        out[c] = a[c] * b[c]


@inner
def _below_top(row: Array, end: int, out: Array) -> None:
    """Set ``out`` to how far each value lies below the highest of the list."""
    top = _F(0.0)
    for c in range(1, end):
        top = max(top, row[c])
    for c in range(end):
        out[c] = row[c] - top


@inner
def describe(state: State, scratch: Scratch, plays: int, now: int, unit: float) -> int:
    """Fill ``scratch.features`` and ``scratch.context``; return the situation.

    Parameters
    ----------
    unit
        Weight of a play now (:func:`online_model.candidates.weight_at`).
    """
    end = scratch.board.tally[0]
    last = scratch.tracks[plays - 1] if plays > 0 else -1
    last_artist = state.artist[last] if last >= 0 else np.uint64(0)
    hour, day, fortnight = share_scales(state)
    x = scratch.features
    raw = scratch.raw
    x[:, 0] = _F(0.0)
    # What must be looked up per track comes first; all that follows runs over whole rows.
    for c in range(1, end):
        track = scratch.board.candidates[c]
        shares = state.norms[track, 2] + _F(3.0 * unit)
        likes = state.norms[track, 3] + _F(5.0 * unit)
        raw[0, c] = _F(1.0) / np.sqrt(shares)
        raw[1, c] = _F(1.0) / np.sqrt(likes)
        raw[2, c] = shares / likes
        raw[3, c] = state.popularity[track, 0] * hour
        raw[4, c] = state.popularity[track, 1] * day
        raw[5, c] = state.popularity[track, 2] * fortnight
        raw[6, c] = max(now - state.last_play[track], 0)
        x[F_SKIP_RATE, c] = state.heard[track, 1] / (state.heard[track, 0] + _F(5.0))
        x[F_IS_LAST, c] = _F(1.0) if track == last else _F(0.0)
        same = last_artist != 0 and state.artist[track] == last_artist
        x[F_SAME_ARTIST, c] = _F(1.0) if same else _F(0.0)
    a = raw[7]
    _column(scratch, E_NEXT, a)
    _squash(a, 1000.0, _THIRD, end, x[0])
    floor = raw[8]
    for c in range(end):
        x[1, c] = a[c] * _F(2.0)
        floor[c] = raw[5, c] + _F(1e-4)
        x[18, c] = log2((a[c] + _F(1e-4)) / floor[c]) * _F(_THIRD)
    _column(scratch, E_NEXT2, a)
    _squash(a, 1000.0, _THIRD, end, x[2])
    _column(scratch, E_SESSION, a)
    _times(a, raw[0], end, x[4])
    _squash(x[4], 300.0, _THIRD, end, x[3])
    _column(scratch, E_TASTE, a)
    _times(a, raw[1], end, x[6])
    _squash(x[6], 300.0, _THIRD, end, x[5])
    _column(scratch, E_ACTIVATION, a)
    _squash(a, 1000.0, _THIRD, end, x[7])
    _column(scratch, E_COUNT, a)
    _squash(a, 1.0, _NATURAL, end, x[8])
    for c in range(end):
        x[9, c] = min(a[c], _F(1.0))
    _column(scratch, E_IN_SESSION, a)
    for c in range(end):
        x[10, c] = min(a[c], _F(1.0))
    _column(scratch, E_RECENCY, x[11])
    _squash(raw[4], 1e4, _THIRD, end, x[12])
    _squash(raw[5], 1e4, _THIRD, end, x[13])
    _column(scratch, E_OWN_NEXT, a)
    _squash(a, 1.0, _NATURAL, end, x[15])
    _column(scratch, E_WINDOW, a)
    _squash(a, 1000.0, _THIRD, end, x[16])
    for c in range(end):
        x[19, c] = log2((a[c] + _F(1e-4)) / floor[c]) * _F(_THIRD)
    _column(scratch, E_NEAREST, a)
    _squash(a, 5.0, _THIRD, end, x[17])
    _times(x[0], x[3], end, x[20])
    _times(x[3], x[5], end, x[21])
    _times(x[0], x[10], end, x[22])
    _times(x[0], x[7], end, x[23])
    _times(x[0], x[17], end, x[24])
    _squash(raw[3], 1e3, _THIRD, end, x[25])
    _column(scratch, E_OWN_NEXT2, a)
    _squash(a, 1.0, _NATURAL, end, x[26])
    _column(scratch, E_SKIPPED, a)
    _squash(a, 1.0, _NATURAL, end, x[27])
    _column(scratch, E_BATCH, a)
    _squash(a, 100.0, _THIRD, end, x[29])
    _column(scratch, E_CONTENT, a)
    _squash(a, 100.0, _THIRD, end, x[30])
    _column(scratch, E_AGE, a)
    _squash(a, 1 / 60.0, 0.1, end, x[31])
    _column(scratch, E_AFTER, a)
    _squash(a, 5.0, _THIRD, end, x[33])
    _column(scratch, E_OWN_WINDOW, a)
    _squash(a, 1.0, _NATURAL, end, x[34])
    _below_top(x[0], end, x[35])
    _below_top(x[16], end, x[36])
    _below_top(x[3], end, x[37])
    _below_top(x[5], end, x[38])
    _below_top(x[17], end, x[39])
    _below_top(x[33], end, x[40])
    _squash(raw[6], 1 / 60.0, 0.1, end, x[41])
    _squash(raw[2], 1.0, 0.5, end, x[42])
    _column(scratch, E_FRESH, a)
    _squash(a, 100.0, _THIRD, end, x[43])
    _describe_moment(state, scratch, plays, now, unit)
    if plays == 0:
        return 2
    return 0 if scratch.board.tally[1] > 0 else 1


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
    context[9] = np.log(1.0 + state.norms[last, 0] / unit) * 0.2 if last >= 0 else 0.0
    ratio = scratch.ratios[plays - 1] if plays > 0 else np.uint8(255)
    context[10] = 0.0 if ratio == 255 else 1.0 - ratio / 100.0


@inner
def score(state: State, scratch: Scratch, task: int, situation: int) -> None:
    """Fill ``scratch.scores[task]`` for every candidate, both stages."""
    end = scratch.board.tally[0]
    first = scratch.first
    for c in range(end):
        first[c] = 0.0
    for f in range(FEATURES):
        w = state.linear[task, situation, f]
        x = scratch.features[f]
        for c in range(1, end):
            first[c] += w * x[c]
    _choose_shortlist(scratch, task)
    _rescore(state, scratch, task)
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
        cut = _nth_largest(order, n, room)
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
def _nth_largest(values: Array, n: int, nth: int) -> np.float32:
    """Return the nth largest of the first n values, reordering them (Hoare's selection)."""
    low, high = 0, n - 1
    k = nth - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while values[i] > pivot:
                i += 1
            while values[j] < pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return np.float32(values[k])


@inner
def _rescore(state: State, scratch: Scratch, task: int) -> None:
    """Fill ``scratch.second``: the first stage's score plus what the hidden units make of it."""
    n = scratch.board.tally[3]
    short, inputs, second = scratch.short, scratch.inputs, scratch.second
    for f in range(FEATURES):
        x = scratch.features[f]
        for q in range(n):
            inputs[f, q] = x[short[q]]
    best = _F(-3e38)
    for q in range(n):
        second[q] = scratch.first[short[q]]
        best = max(best, second[q])
    for q in range(n):
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
