"""Lists that need no listener: tracks like a track, and tracks on the rise."""

from __future__ import annotations

import numpy as np

from online_model.state import (
    DAY,
    FORTNIGHT,
    N_SESSION,
    N_TASTE,
    POP_HALF_LIVES,
    POP_ORIGIN,
    POPULAR,
    TOP,
    TOP_TRACKS,
    TRACKS,
    State,
)


def similar_tracks(state: State, row: int, k: int) -> list[tuple[int, float]]:
    """Return the tracks most shared with a track, by session and by listener (cosine).

    Rows and strengths, strongest first, equal ones by row.
    """
    limit = min(int(state.counters[TRACKS]), len(state.track_key))
    strength: dict[int, float] = {}
    for weights, norm in ((state.pair_session, N_SESSION), (state.pair_taste, N_TASTE)):
        pairs = zip(state.pair_ids[row].tolist(), weights[row].tolist(), strict=True)
        for neighbour, weight in pairs:
            if 0 < neighbour <= limit:
                scale = float(state.facts[row, norm]) * float(state.facts[neighbour - 1, norm])
                value = weight / np.sqrt(scale + 1e-9) if scale > 0 else 0.0
                strength[neighbour - 1] = strength.get(neighbour - 1, 0.0) + float(value)
    strength.pop(row, None)
    return sorted(strength.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def trending_tracks(state: State, now: int, k: int) -> list[tuple[int, float]]:
    """Return popular tracks by their plays of the last day times the root of their rise.

    The rise compares the share of the last day's plays with that of the last fortnight.
    """
    listed = state.top[: min(int(state.counters[TOP]), TOP_TRACKS)]
    limit = min(int(state.counters[TRACKS]), len(state.track_key))
    rows = np.unique(listed[(listed >= 0) & (listed < limit)])
    elapsed = now - int(state.counters[POP_ORIGIN])
    fade = [2.0 ** -max(elapsed / half, 0.0) for half in POP_HALF_LIVES]
    day = state.facts[rows, POPULAR + DAY] * fade[DAY]
    share_day = state.facts[rows, POPULAR + DAY] / (state.totals[DAY] + 1e-9)
    share_fortnight = state.facts[rows, POPULAR + FORTNIGHT] / (state.totals[FORTNIGHT] + 1e-9)
    scores = day * np.sqrt(share_day / (share_fortnight + 1e-9))
    order = np.lexsort((rows, -scores))[:k]
    return [(int(rows[q]), float(scores[q])) for q in order]
