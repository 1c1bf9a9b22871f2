"""From evidence to scores: features, and a ranker of a linear and a small hidden part.

For task ``k`` and situation ``s`` a candidate with features ``x`` in context ``c`` scores

    score = linear[k, s] . x + output[k, 1] . relu(output[k, 0] + hidden[k]^T [x; c])

and the softmax of the scores is read as the chance that it is played next. The linear part learns
fast and carries the first plays of a new model; the hidden part bends it where one source's worth
depends on another's, or on the moment.
"""

from __future__ import annotations

import numpy as np

from online_model._numba import inner
from online_model.features import (
    CONTEXTS,
    E_ACTIVATION,
    E_AGE,
    E_BATCH,
    E_CONTENT,
    E_COUNT,
    E_IN_SESSION,
    E_NEAREST,
    E_NEXT,
    E_NEXT2,
    E_OWN_NEXT,
    E_OWN_NEXT2,
    E_RECENCY,
    E_SESSION,
    E_SKIPPED,
    E_TASTE,
    E_WINDOW,
    FEATURES,
    HIDDEN,
)
from online_model.logarithm import log2
from online_model.scratch import Scratch
from online_model.state import State

_F = np.float32
# log2(1 + x) times this is log(1 + x) / 3: keeps features of order one.
_THIRD = np.float32(0.23104906)
_NATURAL = np.float32(0.69314718)


@inner
def share_scales(state: State) -> tuple[float, float, float]:
    """Return what turns a popularity column's weight into a share of all plays."""
    return (
        1.0 / (state.totals[0] + 1e-9),
        1.0 / (state.totals[1] + 1e-9),
        1.0 / (state.totals[2] + 1e-9),
    )


@inner
def describe(state: State, scratch: Scratch, plays: int, now: int, unit: float) -> int:
    """Fill ``scratch.features`` and ``scratch.context``; return the situation.

    Parameters
    ----------
    unit
        Weight of a play now (:func:`online_model.candidates.weight_at`).
    """
    end = scratch.tally[0]
    session = scratch.tally[1]
    last = scratch.tracks[plays - 1] if plays > 0 else -1
    last_artist = state.artist[last] if last >= 0 else np.uint64(0)
    hour, day, fortnight = share_scales(state)
    x = scratch.features
    for c in range(1, end):
        track = scratch.candidates[c]
        a = scratch.evidence[c]
        norms = state.norms[track]
        popular = _F(state.popularity[track, 2] * fortnight)
        session_share = a[E_SESSION] / _F(np.sqrt(norms[2] + 3.0 * unit))
        taste_share = a[E_TASTE] / _F(np.sqrt(norms[3] + 5.0 * unit))
        follows = log2(_F(1.0) + _F(1000.0) * a[E_NEXT]) * _THIRD
        shared = log2(_F(1.0) + _F(300.0) * session_share) * _THIRD
        liked = log2(_F(1.0) + _F(300.0) * taste_share) * _THIRD
        active = log2(_F(1.0) + _F(1000.0) * a[E_ACTIVATION]) * _THIRD
        near = log2(_F(1.0) + _F(5.0) * a[E_NEAREST]) * _THIRD
        inside = _F(1.0) if a[E_IN_SESSION] > 0 else _F(0.0)
        x[0, c] = follows
        x[1, c] = a[E_NEXT] * _F(2.0)
        x[2, c] = log2(_F(1.0) + _F(1000.0) * a[E_NEXT2]) * _THIRD
        x[3, c] = shared
        x[4, c] = session_share
        x[5, c] = liked
        x[6, c] = taste_share * _F(0.5)
        x[7, c] = active
        x[8, c] = log2(_F(1.0) + a[E_COUNT]) * _NATURAL
        x[9, c] = _F(1.0) if a[E_COUNT] > 0 else _F(0.0)
        x[10, c] = inside
        x[11, c] = a[E_RECENCY]
        x[12, c] = log2(_F(1.0) + _F(state.popularity[track, 1] * day * 1e4)) * _THIRD
        x[13, c] = log2(_F(1.0) + popular * _F(1e4)) * _THIRD
        x[14, c] = _F(1.0) if track == last else _F(0.0)
        x[15, c] = log2(_F(1.0) + a[E_OWN_NEXT]) * _NATURAL
        x[16, c] = log2(_F(1.0) + _F(1000.0) * a[E_WINDOW]) * _THIRD
        x[17, c] = near
        floor = popular + _F(1e-4)
        x[18, c] = log2((a[E_NEXT] + _F(1e-4)) / floor) * _THIRD
        x[19, c] = log2((a[E_WINDOW] + _F(1e-4)) / floor) * _THIRD
        x[20, c] = follows * shared
        x[21, c] = shared * liked
        x[22, c] = follows * inside
        x[23, c] = follows * active
        x[24, c] = follows * near
        x[25, c] = log2(_F(1.0) + _F(state.popularity[track, 0] * hour * 1e3)) * _THIRD
        x[26, c] = log2(_F(1.0) + a[E_OWN_NEXT2]) * _NATURAL
        x[27, c] = log2(_F(1.0) + a[E_SKIPPED]) * _NATURAL
        x[28, c] = state.heard[track, 1] / (state.heard[track, 0] + _F(5.0))
        x[29, c] = log2(_F(1.0) + _F(100.0) * a[E_BATCH]) * _THIRD
        x[30, c] = log2(_F(1.0) + _F(100.0) * a[E_CONTENT]) * _THIRD
        x[31, c] = log2(_F(1.0) + a[E_AGE] * _F(1 / 60.0)) * _F(0.1)
        x[32, c] = _F(1.0) if last_artist != 0 and state.artist[track] == last_artist else _F(0.0)
    _describe_moment(state, scratch, plays, now, unit)
    if plays == 0:
        return 2
    return 0 if session > 0 else 1


@inner
def _describe_moment(state: State, scratch: Scratch, plays: int, now: int, unit: float) -> None:
    session = scratch.tally[1]
    inside = 0
    known = 0
    # A play is a repeat when an older play of its track is in the window: all but one of each
    # track's plays are, so distinct tracks count the others.
    distinct = 0
    for c in range(1, min(scratch.tally[0], plays + 1)):
        if scratch.evidence[c, E_COUNT] > 0:
            distinct += 1
            known += int(scratch.evidence[c, E_COUNT])
            if scratch.evidence[c, E_IN_SESSION] > 0:
                inside += int(scratch.evidence[c, E_IN_SESSION]) - 1
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
    """Fill ``scratch.scores[task]`` for every candidate."""
    end = scratch.tally[0]
    scores = scratch.scores[task]
    x = scratch.features
    for c in range(end):
        scores[c] = 0.0
    for f in range(FEATURES):
        w = state.linear[task, situation, f]
        for c in range(1, end):
            scores[c] += w * x[f, c]
    hidden = state.hidden[task]
    for h in range(HIDDEN):
        units = scratch.units[task, h]
        base = state.output[task, 0, h]
        for q in range(CONTEXTS):
            base += hidden[FEATURES + q, h] * scratch.context[q]
        for c in range(1, end):
            units[c] = base
        for f in range(FEATURES):
            w = hidden[f, h]
            for c in range(1, end):
                units[c] += w * x[f, c]
        v = state.output[task, 1, h]
        for c in range(1, end):
            scores[c] += v * max(units[c], _F(0.0))


@inner
def rank_moment(state: State, scratch: Scratch, plays: int, now: int, unit: float) -> int:
    """Describe the gathered candidates and score them for both tasks; return the situation."""
    situation = describe(state, scratch, plays, now, unit)
    score(state, scratch, 0, situation)
    score(state, scratch, 1, situation)
    return situation
