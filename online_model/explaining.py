"""Why a track is in a list: its sources, the plays behind them, and what each did to the score.

Everything is read from the working memory of the list just composed, so the numbers are those the
score was made of. A source's contribution is the score as it is, less the score had the source
said nothing about this track.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from online_model.features import E_COUNT, FEATURE_NAMES, SOURCES
from online_model.scratch import Scratch
from online_model.state import TASTE_TRACKS, State, weight_now

_LIFT_FLOOR = 1e-4
_THIRD = 0.23104906


class PlayedBefore(NamedTuple):
    """A play of the listener that led to a track.

    ``track`` is the row of the track played; ``support`` how many plays of all listeners, recent
    ones counting more, support the step from it (for the listener's own plays: how many).
    """

    track: int
    support: float


class Reason(NamedTuple):
    """What one source contributed to one track's score (a logit)."""

    source: str
    contribution: float
    plays: tuple[PlayedBefore, ...]


def explain_slots(
    state: State, scratch: Scratch, task: int, slots: npt.NDArray[np.int64]
) -> list[tuple[Reason, ...]]:
    """Return the reasons of candidates of the list in ``scratch``, strongest first."""
    return [_explain(state, scratch, task, int(slot)) for slot in slots]


def _explain(state: State, scratch: Scratch, task: int, slot: int) -> tuple[Reason, ...]:
    plays = int(scratch.board.tally[2])
    situation = 2 if plays == 0 else (0 if scratch.board.tally[1] > 0 else 1)
    end = int(scratch.board.tally[0])
    x = scratch.features[:, slot].astype(np.float64)
    first = scratch.features[:, 1:end].T @ state.linear[task, situation]
    full = _score(state, scratch, task, situation, x, float(first.max()))
    reasons = []
    for source, names in SOURCES.items():
        absent = x.copy()
        for name in names:
            f = FEATURE_NAMES.index(name)
            absent[f] = _absent(name, f, x)
        contribution = full - _score(state, scratch, task, situation, absent, float(first.max()))
        if abs(contribution) >= 0.01:
            support = _support(state, scratch, source, slot)
            if support or source == "popularity":
                reasons.append(Reason(source, round(contribution, 3), support))
    return tuple(sorted(reasons, key=lambda r: -r.contribution))


def _score(
    state: State,
    scratch: Scratch,
    task: int,
    situation: int,
    x: npt.NDArray[np.float64],
    best: float,
) -> float:
    first = float(state.linear[task, situation] @ x)
    inputs = np.concatenate([x, [(first - best) * 0.25], scratch.context])
    units = np.maximum(inputs @ state.hidden[task] + state.output[task, 0], 0.0)
    return first + float(state.output[task, 1] @ units)


def _absent(name: str, f: int, x: npt.NDArray[np.float64]) -> float:
    """Return what a feature would be, had its source said nothing."""
    if name.endswith("_lift"):
        evidence = "next_share" if name == "next_lift" else None
        share = x[FEATURE_NAMES.index(evidence)] / 2.0 if evidence else _window_share(x)
        return float(x[f] - np.log2((share + _LIFT_FLOOR) / _LIFT_FLOOR) * _THIRD)
    return 0.0


def _window_share(x: npt.NDArray[np.float64]) -> float:
    return float((2.0 ** (x[FEATURE_NAMES.index("window")] / _THIRD) - 1.0) / 1000.0)


def _support(state: State, scratch: Scratch, source: str, slot: int) -> tuple[PlayedBefore, ...]:
    board = scratch.board
    track = int(board.candidates[slot])
    plays, session = int(board.tally[2]), int(board.tally[1])
    if source == "history":
        own = int(board.evidence[slot, E_COUNT])
        return (PlayedBefore(track, float(own)),) if own else ()
    unit = weight_now(state)
    tables = {
        "next": (state.next_ids, np.maximum(state.next_direct, state.next_window), 4),
        "session": (state.pair_ids, state.pair_session, max(session, 1)),
        "taste": (state.pair_ids, state.pair_taste, plays),
        "batch": (state.batch_ids, state.batch_weights, plays),
        "content": (state.content_ids, state.content_weights, plays),
    }
    if source == "nearest":
        return _shared_sessions(state, scratch, track)
    if source not in tables:
        return ()
    ids, weights, reach = tables[source]
    found: dict[int, float] = {}
    met: set[int] = set()
    for row in scratch.tracks[:plays][::-1][:reach].tolist():
        if row < 0 or row in met:
            continue
        met.add(row)
        if len(met) > state.settings[TASTE_TRACKS]:
            break
        at = np.flatnonzero(ids[row] == track + 1)
        if len(at):
            found[row] = round(float(np.max(weights[row, at[0]])) / unit, 2)
    return tuple(PlayedBefore(*pair) for pair in sorted(found.items(), key=lambda p: -p[1])[:3])


def _shared_sessions(state: State, scratch: Scratch, track: int) -> tuple[PlayedBefore, ...]:
    plays, session = int(scratch.board.tally[2]), int(scratch.board.tally[1])
    slots = len(state.session_serial)
    entered = {int(s) for s in state.ring[track] if s and state.session_serial[s % slots] == s}
    found = {}
    for row in scratch.tracks[:plays][::-1][: min(6, max(session, 1))].tolist():
        if row >= 0 and (shared := len(entered & {int(s) for s in state.ring[row]})):
            found[row] = float(shared)
    return tuple(PlayedBefore(*pair) for pair in sorted(found.items(), key=lambda p: -p[1])[:3])
