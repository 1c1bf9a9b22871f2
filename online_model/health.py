"""How good the model has been lately, judged on the live stream itself.

Of the plays the ranker learns from, each is first ranked as a request would have been. The arrays
keep the newest of these trials, one row each: the play's rank among all candidates (0: nothing
proposed it), among tracks new to the listener (-1: it was not new), the situation, its place among
the most popular tracks (0: not in the list), which is the baseline carried along, and how little
known the ten best were (thousandths of a bit).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from online_model.state import (
    CLOCK,
    DUPLICATES,
    EVICTED_LISTENERS,
    EVICTED_TRACKS,
    LATE,
    PLAYS,
    SKIPS,
    TRACKS,
    TRIAL_ROWS,
    TRIALS,
    UPDATES,
    State,
)

SITUATION_NAMES = ("in session", "new session", "stranger")


def recent_trials(state: State) -> npt.NDArray[np.int32]:
    """Return the trials the arrays hold, oldest first, shape (n, TRIAL_COLUMNS)."""
    count = int(state.counters[TRIALS])
    if count <= TRIAL_ROWS:
        return state.trials[:count].copy()
    return np.roll(state.trials, -(count % TRIAL_ROWS), axis=0)


def quality(ranks: npt.NDArray[np.int32]) -> dict[str, float]:
    """Return HR@10 and NDCG@10 of ranks; rank 0 is a miss.

    Examples
    --------
    >>> quality(np.array([1, 3, 0, 11], np.int32))
    {'events': 4, 'hr@10': 0.5, 'ndcg@10': 0.375}
    """
    if not len(ranks):
        return {"events": 0, "hr@10": 0.0, "ndcg@10": 0.0}
    hit = (ranks > 0) & (ranks <= 10)
    gain = np.where(hit, 1.0 / np.log2(np.maximum(ranks, 1) + 1.0), 0.0)
    return {
        "events": len(ranks),
        "hr@10": round(float(hit.mean()), 4),
        "ndcg@10": round(float(gain.mean()), 4),
    }


def health(state: State, *, drift: bool = True) -> dict[str, Any]:
    """Return rolling quality by task and situation, the baseline's, drift and counters.

    ``coverage@10`` is the share of all tracks that stood among the ten best of some trial,
    ``novelty@10`` the mean surprise of these ten in bits, ``-log2`` of a track's share of the last
    fortnight's plays. ``drift`` reports whether ADWIN (Bifet and Gavaldà 2007) finds a change of
    the hit rate within the newest trials, and how many trials ago the last change was; the search
    costs seconds the first time, so a reader may leave it to the learner.
    """
    trials = recent_trials(state)
    counters = state.counters
    names = {
        "plays": PLAYS,
        "duplicates": DUPLICATES,
        "late": LATE,
        "skips": SKIPS,
        "ranker_updates": UPDATES,
        "trials": TRIALS,
        "tracks": TRACKS,
        "evicted_tracks": EVICTED_TRACKS,
        "evicted_listeners": EVICTED_LISTENERS,
        "clock": CLOCK,
    }
    fresh = trials[trials[:, 1] >= 0]
    hits = (trials[:, 0] > 0) & (trials[:, 0] <= 10)
    report = {
        "all": quality(trials[:, 0]),
        "new": quality(fresh[:, 1]),
        "popularity": quality(trials[:, 3]),
        "situations": {
            name: quality(trials[trials[:, 2] == k, 0]) for k, name in enumerate(SITUATION_NAMES)
        },
        "proposed": round(float((trials[:, 0] > 0).mean()), 4) if len(trials) else 0.0,
        "coverage@10": _coverage(state, len(trials)),
        "novelty@10": round(float(trials[:, 4].mean()) / 1000, 3) if len(trials) else 0.0,
        "counters": {name: int(counters[at]) for name, at in names.items()},
    }
    if drift:
        changed = _last_change(hits)
        report["drift"] = {"found": changed >= 0, "trials_ago": changed if changed >= 0 else None}
    return report


def figures(report: dict[str, Any]) -> dict[str, float]:
    """Return a health report as one level of numbers, as gauges are.

    Examples
    --------
    >>> figures({"new": {"hr@10": 0.3}, "drift": {"found": True, "trials_ago": None}})
    {'new_hr@10': 0.3, 'drift_found': 1.0}
    """
    flat: dict[str, float] = {}
    for name, value in report.items():
        if isinstance(value, dict):
            inside = figures(value).items()
            flat |= {f"{name}_{inner}".replace(" ", "_"): number for inner, number in inside}
        elif value is not None:
            flat[name] = float(value)
    return flat


def _coverage(state: State, trials: int) -> float:
    tracks = min(int(state.counters[TRACKS]), len(state.shown_at))
    if not tracks or not trials:
        return 0.0
    since = int(state.counters[TRIALS]) - trials
    return round(float((state.shown_at[:tracks] > since).mean()), 4)


def _last_change(hits: npt.NDArray[np.bool_]) -> int:
    # Two seconds of imports: statistics the detector does not use.
    from river.drift import ADWIN

    detector: Any = cast(Any, ADWIN)(delta=0.002)
    found = -1
    for k, hit in enumerate(hits.tolist()):
        detector.update(float(hit))
        if detector.drift_detected:
            found = k
    return len(hits) - 1 - found if found >= 0 else -1
