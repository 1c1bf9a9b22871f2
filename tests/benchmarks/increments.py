"""What one shard's plays add to the tables of tracks: how many bytes, and how long applying takes.

A shard collects its increments in tables of their own, which begin empty. The learner's kernels
fill them from the shard's plays of an interval. What they hold at its end is the message: of each
track that changed a key, its facts, and each neighbour with two weights. Another learner adds each
neighbour to its own row (:func:`pour`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from online_model import ModelConfig, Recommender, evaluation, popularity
from online_model._numba import compiled
from online_model.hashing import find
from online_model.interactions import Interactions
from online_model.neighbours import strengthen_both
from online_model.state import (
    N_NEXT,
    PLAYS,
    RANKER_EVERY,
    SKIPPED,
    STEP,
    TRACKS,
    WARM_UP,
    Array,
    State,
)

_TABLES = ("facts", "next_ids", "next_direct", "next_window", "next_offset", "pair_ids",
           "pair_session", "pair_taste", "kin_ids", "kin_next", "kin_shared")  # fmt: skip
#: Bytes of a row's key and ten facts, of a neighbour that follows, of a pair: a key of 8 bytes, two
#: weights of 4, and an offset of 2.
_ROW, _FOLLOWS, _PAIR = 8 + 40, 18, 16
#: What the log's message needs of a play without names: listener, track, second, share played.
_BARE_PLAY = 8 + 8 + 4 + 1
_INTERVALS = (1_000, 10_000)


def measure(data: Interactions, shards: Sequence[int]) -> dict[str, Any]:
    """Return the increments' sizes and processor times, and beside them what learning takes.

    Times are microseconds of processor time a play; artists' tables are applied but not counted.
    """
    users, items = evaluation._keys(data.users), evaluation._keys(data.items)
    pour(fresh(data, trials=False).state, fresh(data, trials=False).state, np.zeros(0, np.int64))
    whole, learn_us = _learned(data, trials=True)
    _, tables_us = _learned(data, trials=False)
    out: dict[str, Any] = {
        "learn_us_per_play": round(learn_us, 2),
        "learn_without_trials_us_per_play": round(tables_us, 2),
        "bytes_of_a_play_without_names": _BARE_PLAY,
        "bytes_of_the_ranker": sum(
            getattr(whole.state, name).nbytes for name in ("linear", "hidden", "output")
        )
        * 2,
    }
    for count in shards:
        rows = {}
        mine = np.flatnonzero(data.users % count == 0)
        for interval in _INTERVALS:
            adding, taking = fresh(data, trials=False), fresh(data, trials=False)
            size = entire = spent = 0
            for part in np.array_split(mine, max(1, len(mine) * count // interval)):
                empty(adding.state)
                adding.learn_plays(users[part], items[part], data.seconds[part], data.ratios[part])
                changed = np.flatnonzero(adding.state.facts.any(axis=1))
                register(taking, adding.state, changed)
                start = time.process_time_ns()
                pour(adding.state, taking.state, changed)
                spent += time.process_time_ns() - start
                size += sizes(adding.state, changed)
                entire += sizes(whole.state, whole.lookup(adding.state.track_key[changed]))
            rows[f"{interval} plays"] = {
                "bytes_per_play": round(size / len(mine)),
                "bytes_per_play_as_whole_rows": round(entire / len(mine)),
                "apply_us_per_play": round(spent / len(mine) / 1000, 2),
            }
        out[f"{count} shards"] = rows
    return out


def fresh(data: Interactions, *, trials: bool) -> Recommender:
    """Return an empty model with room for all plays; without trials its ranker learns nothing."""
    model = Recommender(evaluation._roomy(ModelConfig(), data))
    if not trials:
        # With this pace the number of plays is never a multiple of the plays between two trials.
        model.state.settings[[RANKER_EVERY, WARM_UP]] = 2.0**60, 1.0
        model.state.counters[PLAYS] = 1
    return model


def empty(state: State) -> None:
    """Begin an interval: nothing was added to any table; windows stay."""
    for name in _TABLES:
        getattr(state, name)[: int(state.counters[TRACKS])] = 0
    state.totals[:] = 0


def register(model: Recommender, adding: State, changed: npt.NDArray[np.int64]) -> None:
    """Give the tracks of changed rows a row in another model."""
    keys = adding.track_key[changed]
    for key in keys[model.lookup(keys) < 0].tolist():
        model.register_track(key)


def sizes(state: State, rows: Array) -> int:
    """Return the bytes of a message of these rows."""
    follows = int(np.count_nonzero(state.next_ids[rows]))
    pairs = int(np.count_nonzero(state.pair_ids[rows]))
    return len(rows) * _ROW + follows * _FOLLOWS + pairs * _PAIR


@compiled
def pour(adding: State, state: State, changed: Array) -> None:
    """Add the increments of changed rows to another model, whose rows are found by the keys.

    Parameters
    ----------
    changed
        Rows of ``adding``, i64; the other model has a row for each and for each neighbour.
    """
    keys, rows = state.alias_keys, state.alias_rows
    for source in changed:
        row = find(keys, rows, adding.track_key[source])
        for fact in range(N_NEXT, SKIPPED + 1):
            state.facts[row, fact] += adding.facts[source, fact]
        if adding.facts[source, STEP] != 0:
            state.facts[row, STEP] = adding.facts[source, STEP]
        popularity._move_up(state.counters, state.top, state.facts, row)
        for k in range(adding.next_ids.shape[1]):
            held = adding.next_ids[source, k] - 1
            if held < 0:
                break
            other = find(keys, rows, adding.track_key[held])
            at = strengthen_both(
                state.next_ids, state.next_direct, state.next_window, row, other,
                adding.next_direct[source, k], adding.next_window[source, k],
            )  # fmt: skip
            state.next_offset[row, at] = adding.next_offset[source, k]
        for k in range(adding.pair_ids.shape[1]):
            held = adding.pair_ids[source, k] - 1
            if held < 0:
                break
            other = find(keys, rows, adding.track_key[held])
            strengthen_both(
                state.pair_ids, state.pair_session, state.pair_taste, row, other,
                adding.pair_session[source, k], adding.pair_taste[source, k],
            )  # fmt: skip


def _learned(data: Interactions, *, trials: bool) -> tuple[Recommender, float]:
    """Learn all plays in batches of 1,000; return the model and the microseconds a play."""
    model = fresh(data, trials=trials)
    users, items = evaluation._keys(data.users), evaluation._keys(data.items)
    start = time.process_time_ns()
    for at in range(0, len(data), 1000):
        part = slice(at, at + 1000)
        model.learn_plays(users[part], items[part], data.seconds[part], data.ratios[part])
    return model, (time.process_time_ns() - start) / 1000 / max(1, len(data))
