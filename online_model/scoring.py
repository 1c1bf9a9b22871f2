"""From evidence to scores: features, and a ranker of two stages.

The first stage is linear over all candidates; it learns fast and carries the first plays of a new
model. Its weights are a sum of rows, each multiplied by its number of the context. The number of
the bias is always 1. The second stage looks at the best ``SHORTLIST`` candidates again:

    first  = (linear[k]^T c) . x
    second = first + output[k, 1] . relu(output[k, 0] + hidden[k]^T [x; first - max first; c])

with features ``x``, context ``c`` and task ``k``. It bends the scores where one source's worth
depends on another's. The softmax of either stage is read as the chance that a candidate is played
next.
"""

from __future__ import annotations

import numpy as np

from online_model._numba import inner
from online_model.candidates import weight_at
from online_model.features import (
    CONTEXTS,
    E_ACTIVATION,
    E_ARTIST_RANK,
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
    FEATURE_NAMES,
    FEATURES,
    HIDDEN,
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
    POURED,
    SHORTLIST,
)
from online_model.logarithm import log2
from online_model.moods import mood_of, total_mood
from online_model.scratch import (
    END,
    FELT,
    OWN_ARTISTS,
    OWN_END,
    SESSION_ARTISTS,
    SESSION_PLAYS,
    SHORTLISTED,
    STREAK,
    WINDOW_PLAYS,
    Scratch,
)
from online_model.selection import nth_largest
from online_model.state import (
    A_NEXT,
    A_PLAYS,
    A_SELF,
    CLOCK,
    DAY,
    FORTNIGHT,
    HEARD,
    HOUR,
    N_NEXT,
    N_SESSION,
    N_TASTE,
    POPULAR,
    SKIPPED,
    STEP,
    Array,
    State,
)

_F = np.float32
F_ARTIST_SESSION = FEATURE_NAMES.index("artist_session")
F_ARTIST_TASTE = FEATURE_NAMES.index("artist_taste")
F_ARTIST_RECENCY = FEATURE_NAMES.index("artist_recency")
F_ARTIST_NEXT = FEATURE_NAMES.index("artist_next")
F_ARTIST_KIN = FEATURE_NAMES.index("artist_kin")
F_ARTIST_SKIPS = FEATURE_NAMES.index("artist_skips")
F_ARTIST_VARIETY = FEATURE_NAMES.index("artist_variety")
F_ARTIST_SHARE = FEATURE_NAMES.index("artist_share")
F_ARTIST_RANK = FEATURE_NAMES.index("artist_rank")
F_KNOWN = FEATURE_NAMES.index("known")
F_UNPLAYED = FEATURE_NAMES.index("unplayed")
F_SAME_ARTIST_X_RANK = FEATURE_NAMES.index("same_artist_x_rank")
F_HEARD_X_ARTIST = FEATURE_NAMES.index("heard_x_artist")
F_OFFSET_MATCH = FEATURE_NAMES.index("offset_match")
F_OFFSET_NEAR = FEATURE_NAMES.index("offset_near")
F_OFFSET_EARLIER = FEATURE_NAMES.index("offset_earlier")
F_MATCH_X_NEXT = FEATURE_NAMES.index("match_x_next")
F_ACTIVATION = FEATURE_NAMES.index("activation")
F_BATCH = FEATURE_NAMES.index("batch")
F_CONTENT = FEATURE_NAMES.index("content")
F_COUNT = FEATURE_NAMES.index("count")
F_HEARD = FEATURE_NAMES.index("heard")
F_IN_SESSION = FEATURE_NAMES.index("in_session")
F_IS_LAST = FEATURE_NAMES.index("is_last")
F_LINKS = FEATURE_NAMES.index("links")
F_NEXT = FEATURE_NAMES.index("next")
F_NEXT2 = FEATURE_NAMES.index("next2")
F_NEXT_LIFT = FEATURE_NAMES.index("next_lift")
F_NEXT_SHARE = FEATURE_NAMES.index("next_share")
F_NEXT_X_ACTIVATION = FEATURE_NAMES.index("next_x_activation")
F_NEXT_X_IN_SESSION = FEATURE_NAMES.index("next_x_in_session")
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
# log2(1 + x) times ``_THIRD`` is log(1 + x) / 3, times ``_NATURAL`` log(1 + x): order of one.
_THIRD = _F(0.23104906)
_NATURAL = _F(0.69314718)
#: Least share in a lift: nothing is measured against the popularity of a track nobody plays.
_LIFT_FLOOR = _F(1e-4)
# Rows of ``Scratch.raw``: facts of each candidate.
_SESSIONS = 0  # decayed plays by session, then 1 / norm of the pairs by session
_LISTENERS = 1  # the same by listener
_SHARE_HOUR = 2  # share of all plays, by horizon
_SHARE_DAY = 3
_SHARE_FORTNIGHT = 4
_HEARD = 5  # plays of which the share heard is known
_SKIPS = 6  # of these, skips
_OF_ARTIST = 7  # decayed plays of the artist, -1 unknown
_LEAST_SHARE = 8  # what a lift compares with
_OWN = 9  # a column of what the listener's own plays say
# Evidence that becomes the feature ``by * log2(1 + scale * evidence)``. A table, because numba
# compiles a function again for every constant it is called with.
_LOGARITHM = [("evidence", "i8"), ("feature", "i8"), ("scale", "f4"), ("by", "f4")]
_LOGARITHMS = np.array(
    [
        (E_NEXT, F_NEXT, 1000.0, _THIRD),
        (E_NEXT2, F_NEXT2, 1000.0, _THIRD),
        (E_WINDOW, F_WINDOW, 1000.0, _THIRD),
        (E_VOTES, F_VOTES, 1.0, _THIRD),
        (E_LINKS, F_LINKS, 1.0, _THIRD),
        (E_EARLIER, F_OFFSET_EARLIER, 1.0, _NATURAL),
        (E_BATCH, F_BATCH, 100.0, _THIRD),
        (E_CONTENT, F_CONTENT, 100.0, _THIRD),
    ],
    _LOGARITHM,
)
_OWN_LOGARITHMS = np.array(
    [
        (E_ACTIVATION, F_ACTIVATION, 1000.0, _THIRD),
        (E_COUNT, F_COUNT, 1.0, _NATURAL),
        (E_OWN_NEXT, F_OWN_NEXT, 1.0, _NATURAL),
        (E_OWN_NEXT2, F_OWN_NEXT2, 1.0, _NATURAL),
        (E_OWN_WINDOW, F_OWN_WINDOW, 1.0, _NATURAL),
        (E_SKIPPED, F_SKIPPED, 1.0, _NATURAL),
    ],
    _LOGARITHM,
)
#: Evidence that becomes a feature as it is, at most 1.
_OWN_SHARES = np.array(
    [(E_COUNT, F_HEARD), (E_IN_SESSION, F_IN_SESSION), (E_RECENCY, F_RECENCY)],
    [("evidence", "i8"), ("feature", "i8")],
)
_PRODUCTS = np.array(
    [
        (F_NEXT, F_SESSION, F_NEXT_X_SESSION),
        (F_OFFSET_MATCH, F_NEXT, F_MATCH_X_NEXT),
        (F_SESSION, F_TASTE, F_SESSION_X_TASTE),
        (F_NEXT, F_IN_SESSION, F_NEXT_X_IN_SESSION),
        (F_NEXT, F_ACTIVATION, F_NEXT_X_ACTIVATION),
        (F_SAME_ARTIST, F_ARTIST_RANK, F_SAME_ARTIST_X_RANK),
        (F_HEARD, F_ARTIST_SESSION, F_HEARD_X_ARTIST),
    ],
    [("left", "i8"), ("right", "i8"), ("product", "i8")],
)
# Columns added in one loop over the candidates: a sum that stays in a register is neither read nor
# written in between. Inputs of the second stage are padded with a row of zeros.
_AT_ONCE_FIRST, _AT_ONCE = 5, 4
assert FEATURES % _AT_ONCE_FIRST == 0
assert (FEATURES + 2) % _AT_ONCE == 0
#: Features copied from ``Scratch.felt``, the first of them the first.
_FELT_FEATURES = M_PLAYS
_UNKNOWN = -2


@inner
def describe(state: State, scratch: Scratch, now: int) -> None:
    """Fill ``scratch.features`` and ``scratch.context`` for the candidates on the board.

    Parameters
    ----------
    now
        The second for which to rank.
    """
    describe_tracks(state, scratch, now)
    _describe_moment(state, scratch, now)


@inner
def describe_tracks(state: State, scratch: Scratch, now: int) -> None:
    """Fill ``scratch.features`` from the evidence on the board.

    What must be looked up per track comes first; all that follows runs over whole columns.
    """
    end = scratch.board.tally[END]
    x, raw, columns = scratch.features, scratch.raw, scratch.columns
    unit = weight_at(state.counters, state.settings, _latest(state, now))
    x[:, 0] = _F(0.0)
    _look_up(state, scratch)
    _describe_facts(scratch, _F(unit), end)
    _describe_own(scratch)
    for q in range(_LOGARITHMS.shape[0]):
        row = _LOGARITHMS[q]
        _squash(columns[row["evidence"]], row["scale"], row["by"], end, x[row["feature"]])
    for c in range(end):
        x[F_NEXT_SHARE, c] = columns[E_NEXT, c] * _F(2.0)
    _lift(columns[E_NEXT], raw[_LEAST_SHARE], end, x[F_NEXT_LIFT])
    _lift(columns[E_WINDOW], raw[_LEAST_SHARE], end, x[F_WINDOW_LIFT])
    _multiply(columns[E_SESSION], raw[_SESSIONS], end, x[F_SESSION_SHARE])
    _squash(x[F_SESSION_SHARE], _F(300.0), _THIRD, end, x[F_SESSION])
    _multiply(columns[E_TASTE], raw[_LISTENERS], end, x[F_TASTE_SHARE])
    _squash(x[F_TASTE_SHARE], _F(300.0), _THIRD, end, x[F_TASTE])
    for c in range(end):
        x[F_ARTIST_RANK, c] = columns[E_ARTIST_RANK, c]
        x[F_OFFSET_MATCH, c] = columns[E_MATCH, c]
        x[F_OFFSET_NEAR, c] = columns[E_NEAR, c]
    _squash(raw[_SHARE_HOUR], _F(1e3), _THIRD, end, x[F_POPULAR_HOUR])
    _squash(raw[_SHARE_DAY], _F(1e4), _THIRD, end, x[F_POPULAR_DAY])
    _squash(raw[_SHARE_FORTNIGHT], _F(1e4), _THIRD, end, x[F_POPULAR_FORTNIGHT])
    for q in range(_PRODUCTS.shape[0]):
        factors = _PRODUCTS[q]
        _multiply(x[factors["left"]], x[factors["right"]], end, x[factors["product"]])


@inner
def _latest(state: State, now: int) -> int:
    """Return the second that dates weights: never before the newest play learned."""
    return int(max(now, state.counters[CLOCK]))


@inner
def _look_up(state: State, scratch: Scratch) -> None:
    """Lay evidence and facts of the candidates out by column, with what is felt for the artist."""
    board, x, raw, columns = scratch.board, scratch.features, scratch.raw, scratch.columns
    facts, plays = state.facts, board.tally[WINDOW_PLAYS]
    last = scratch.tracks[plays - 1] if plays > 0 else -1
    last_artist = state.track_artist[last] - 1 if last >= 0 else -1
    if last_artist < 0:
        last_artist = _UNKNOWN
    _describe_moods(scratch)
    for c in range(1, board.tally[END]):
        for e in range(POURED):
            columns[e, c] = board.evidence[c, e]
        track = board.candidates[c]
        raw[_SESSIONS, c] = facts[track, N_SESSION]
        raw[_LISTENERS, c] = facts[track, N_TASTE]
        raw[_HEARD, c] = facts[track, HEARD]
        raw[_SKIPS, c] = facts[track, SKIPPED]
        raw[_SHARE_HOUR, c] = facts[track, POPULAR + HOUR]
        raw[_SHARE_DAY, c] = facts[track, POPULAR + DAY]
        raw[_SHARE_FORTNIGHT, c] = facts[track, POPULAR + FORTNIGHT]
        x[F_IS_LAST, c] = _F(1.0) if track == last else _F(0.0)
        artist = state.track_artist[track] - 1
        x[F_SAME_ARTIST, c] = _F(1.0) if artist == last_artist else _F(0.0)
        raw[_OF_ARTIST, c] = state.artist_facts[artist, A_PLAYS] if artist >= 0 else _F(-1.0)
        at = mood_of(scratch, artist)
        if at < 0:
            at = MAX_MOODS  # the row of nobody
        for k in range(_FELT_FEATURES):
            x[F_ARTIST_SESSION + k, c] = scratch.felt[at, k]
    hour, day, fortnight = _share_scales(state)
    _scale(raw[_SHARE_HOUR], _F(hour), board.tally[END])
    _scale(raw[_SHARE_DAY], _F(day), board.tally[END])
    _scale(raw[_SHARE_FORTNIGHT], _F(fortnight), board.tally[END])


@inner
def _describe_moods(scratch: Scratch) -> None:
    """Fill ``scratch.felt``: how the listener stands to each artist, as features."""
    tally, moods, felt = scratch.board.tally, scratch.moods, scratch.felt
    own = tally[OWN_ARTISTS]
    session = _F(1.0) / total_mood(moods, own, np.int64(M_SESSION))
    taste = _F(1.0) / total_mood(moods, own, np.int64(M_TASTE))
    for at in range(own):
        mood = moods[at]
        felt[at, M_SESSION] = mood[M_SESSION] * session
        felt[at, M_TASTE] = log2(_F(1.0) + _F(30.0) * mood[M_TASTE] * taste) * _THIRD
        felt[at, M_RECENCY] = mood[M_RECENCY]
        felt[at, M_SKIPS] = mood[M_SKIPS] / (mood[M_PLAYS] + _F(3.0))
        felt[at, M_DISTINCT] = mood[M_DISTINCT] / (mood[M_PLAYS] + _F(1.0))
    for at in range(own, tally[FELT]):
        for k in range(MOODS):
            felt[at, k] = _F(0.0)
    for at in range(tally[FELT]):
        felt[at, M_NEXT] = log2(_F(1.0) + _F(100.0) * moods[at, M_NEXT]) * _THIRD
        felt[at, M_KIN] = log2(_F(1.0) + _F(30.0) * moods[at, M_KIN]) * _THIRD


@inner
def _describe_facts(scratch: Scratch, unit: np.float32, end: int) -> None:
    """Fill what rests on the track's own numbers: norms, how known it is, its artist, skips.

    Parameters
    ----------
    unit
        Weight of a play now (:func:`online_model.candidates.weight_at`).
    """
    x, raw = scratch.features, scratch.raw
    for c in range(end):
        x[F_UNPLAYED, c] = _F(1.0) if raw[_SESSIONS, c] == _F(0.0) else _F(0.0)
    _squash(raw[_SESSIONS], _F(1.0) / unit, _THIRD, end, x[F_KNOWN])
    _share_of_artist(raw[_SESSIONS], raw[_OF_ARTIST], unit, end, x[F_ARTIST_SHARE])
    _norm(raw[_SESSIONS], _F(3.0) * unit, end)
    _norm(raw[_LISTENERS], _F(5.0) * unit, end)
    for c in range(end):
        x[F_SKIP_RATE, c] = raw[_SKIPS, c] / (raw[_HEARD, c] + _F(5.0))
        raw[_LEAST_SHARE, c] = raw[_SHARE_FORTNIGHT, c] + _LIFT_FLOOR


@inner
def _describe_own(scratch: Scratch) -> None:
    """Fill what the listener's own plays say: 0 for all but the tracks of the window."""
    board, x, column = scratch.board, scratch.features, scratch.raw[_OWN]
    own, end = board.tally[OWN_END], board.tally[END]
    for q in range(_OWN_LOGARITHMS.shape[0]):
        row = _OWN_LOGARITHMS[q]
        _copy_column(board.evidence, row["evidence"], own, column)
        _squash(column, row["scale"], row["by"], own, x[row["feature"]])
        _fill(x[row["feature"]], own, end)
    for q in range(_OWN_SHARES.shape[0]):
        share = _OWN_SHARES[q]
        out = x[share["feature"]]
        _copy_column(board.evidence, share["evidence"], own, out)
        for c in range(own):
            out[c] = min(out[c], _F(1.0))
        _fill(out, own, end)


@inner
def _share_scales(state: State) -> tuple[float, float, float]:
    """Return what turns a popularity column's weight into a share of all plays."""
    return (
        1.0 / (state.totals[HOUR] + 1e-9),
        1.0 / (state.totals[DAY] + 1e-9),
        1.0 / (state.totals[FORTNIGHT] + 1e-9),
    )


@inner
def _copy_column(evidence: Array, column: int | np.int64, end: int, out: Array) -> None:
    for c in range(end):
        out[c] = evidence[c, column]


@inner
def _fill(out: Array, start: int, end: int) -> None:
    """Set a range to 0."""
    for c in range(start, end):
        out[c] = _F(0.0)


@inner
def _scale(row: Array, by: np.float32, end: int) -> None:
    for c in range(end):
        row[c] *= by


@inner
def _norm(row: Array, more: np.float32, end: int) -> None:
    """Turn plays into ``1 / sqrt(plays + more)``."""
    for c in range(end):
        row[c] = _F(1.0) / np.sqrt(row[c] + more)


@inner
def _share_of_artist(
    plays: Array, of_artist: Array, unit: np.float32, end: int, out: Array
) -> None:
    """Set ``out`` to the logarithm of a track's share of its artist's plays, 0 without one."""
    few = _F(0.1) * unit
    for c in range(end):
        share = (plays[c] + few) / (max(of_artist[c], _F(0.0)) + unit)
        said = log2(_F(1.0) + _F(20.0) * share) * _THIRD
        out[c] = said if of_artist[c] >= _F(0.0) else _F(0.0)


@inner
def _squash(row: Array, scale: np.float32, by: np.float32, end: int, out: Array) -> None:
    """Set ``out = by * log2(1 + scale * row)``."""
    for c in range(end):
        out[c] = log2(_F(1.0) + scale * row[c]) * by


@inner
def _lift(share: Array, least: Array, end: int, out: Array) -> None:
    """Set ``out`` to the logarithm of a share over the track's popularity."""
    for c in range(end):
        out[c] = log2((share[c] + _LIFT_FLOOR) / least[c]) * _THIRD


@inner
def _multiply(left: Array, right: Array, end: int, out: Array) -> None:
    for c in range(end):
        out[c] = left[c] * right[c]


@inner
def _describe_moment(state: State, scratch: Scratch, now: int) -> None:
    """Fill ``scratch.context``, which is equal for all candidates (``features.CONTEXT_NAMES``)."""
    session, plays = scratch.board.tally[SESSION_PLAYS], scratch.board.tally[WINDOW_PLAYS]
    unit = weight_at(state.counters, state.settings, _latest(state, now))
    inside = 0
    known = 0
    # A play is a repeat when an older play of its track is in the window: all but one of each
    # track's plays are, so distinct tracks count the others.
    distinct = 0
    for c in range(1, scratch.board.tally[OWN_END]):
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
    context[11] = np.log(1.0 + scratch.board.tally[STREAK]) * 0.5
    context[12] = scratch.board.tally[SESSION_ARTISTS] / (session + 1.0)
    step = state.facts[last, STEP] if last >= 0 else _F(0.0)
    waited = max(silence, float(step))
    context[14] = 0.5 * np.log((waited + 5.0) / (step + 5.0)) if step > 0.0 else 0.0
    context[15] = 1.0 if step > 0.0 and abs(waited - step) <= 6.0 else 0.0
    artist = state.track_artist[last] - 1 if last >= 0 else -1
    context[13] = (
        state.artist_facts[artist, A_SELF] / (state.artist_facts[artist, A_NEXT] + unit)
        if artist >= 0
        else 0.0
    )


@inner
def score(state: State, scratch: Scratch, task: int) -> None:
    """Fill ``scratch.scores[task]`` for every candidate, both stages."""
    end = scratch.board.tally[END]
    first = scratch.first
    weigh_moment(state, scratch, task)
    score_first(scratch)
    _choose_shortlist(scratch, task)
    score_second(state, scratch, task, best_of_shortlist(scratch))
    scores = scratch.scores[task]
    n = scratch.board.tally[SHORTLISTED]
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
def weigh_moment(state: State, scratch: Scratch, task: int) -> None:
    """Fill ``scratch.linear`` with the weights of the first stage at this moment."""
    weights, out = state.linear[task], scratch.linear
    for f in range(FEATURES):
        out[f] = _F(0.0)
    for k in range(CONTEXTS):
        by = scratch.context[k]
        for f in range(FEATURES):
            out[f] += weights[k, f] * by


@inner
def score_first(scratch: Scratch) -> None:
    """Fill ``scratch.first`` for every candidate: the linear stage, by ``scratch.linear``."""
    end = scratch.board.tally[END]
    x, w, first = scratch.features, scratch.linear, scratch.first
    for c in range(end):
        first[c] = _F(0.0)
    for f in range(0, FEATURES, _AT_ONCE_FIRST):
        a, b, d, e, g = x[f], x[f + 1], x[f + 2], x[f + 3], x[f + 4]
        va, vb, vd, ve, vg = w[f], w[f + 1], w[f + 2], w[f + 3], w[f + 4]
        for c in range(1, end):
            first[c] += va * a[c] + vb * b[c] + vd * d[c] + ve * e[c] + vg * g[c]


@inner
def _choose_shortlist(scratch: Scratch, task: int) -> None:
    """Put the best candidates of the first stage into ``scratch.short``, in slot order."""
    end = scratch.board.tally[END]
    start = scratch.board.tally[OWN_END] if task == 1 else 1
    first, order, short = scratch.first, scratch.order, scratch.short
    n = end - start
    m = 0
    if n <= SHORTLIST:
        for c in range(start, end):
            short[m] = c
            m += 1
    else:
        for k in range(n):
            order[k] = first[start + k]
        cut, above = nth_largest(order, n, SHORTLIST, scratch.counts)
        ties = SHORTLIST - above
        for c in range(start, end):
            equal = first[c] == cut
            short[m] = c
            m = min(m + ((first[c] > cut) | (equal & (ties > 0))), SHORTLIST)
            ties -= equal
    scratch.board.tally[SHORTLISTED] = m


@inner
def best_of_shortlist(scratch: Scratch) -> np.float32:
    """Return the highest score of the first stage on the shortlist."""
    best = _F(-3e38)
    for q in range(scratch.board.tally[SHORTLISTED]):
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
    n = scratch.board.tally[SHORTLISTED]
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
        for f in range(0, FEATURES + 1, _AT_ONCE):
            a, b, c, d = inputs[f], inputs[f + 1], inputs[f + 2], inputs[f + 3]
            va, vb, vc, vd = hidden[f, h], hidden[f + 1, h], hidden[f + 2, h], hidden[f + 3, h]
            for q in range(n):
                units[q] += va * a[q] + vb * b[q] + vc * c[q] + vd * d[q]
        v = state.output[task, 1, h]
        for q in range(n):
            second[q] += v * max(units[q], _F(0.0))
