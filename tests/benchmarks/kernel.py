"""`segue bench kernel`: processor time of a list by stage, and of a play learned.

One process, no servers: plays are learned, then lists are made for the listeners of the newest
plays. A stage's time is that of a call that stops after it less that of a call that stops before
it. The floor of a list is a call that makes none: handing the arrays to compiled code.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

from online_model import ModelConfig, Recommender
from online_model.candidates import keep_promising, propose
from online_model.features import ANY
from online_model.interactions import Interactions, read_interactions
from online_model.scoring import describe, score, score_first, weigh_moment
from online_model.scratch import END, Scratch
from online_model.serving import select
from online_model.state import Array, State
from tests.benchmarks.figures import machine
from tests.plays import interactions

Function = TypeVar("Function", bound=Callable[..., Any])
_STAGES = ("propose", "first look", "describe", "first stage", "second stage", "select")
_LISTENERS = 400
_ROUNDS = 60


def _compiled(function: Function) -> Function:
    return cast(Function, numba.njit(error_model="numpy")(function))


@_compiled
def lists(
    state: State,
    scratch: Scratch,
    sizes: Array,
    tracks: Array,
    seconds: Array,
    ratios: Array,
    stages: int,
    best: Array,
) -> int:
    """Take each window so many stages far; return how many candidates there were in all."""
    candidates = 0
    for i in range(sizes.shape[0]):
        plays = sizes[i]
        for k in range(plays):
            scratch.tracks[k] = tracks[i, k]
            scratch.seconds[k] = seconds[i, k]
            scratch.ratios[k] = ratios[i, k]
        now = seconds[i, plays - 1] + 200
        if stages > 0:
            propose(state, scratch, plays, now)
        if stages > 1:
            keep_promising(scratch)
        candidates += scratch.board.tally[END]
        if stages > 2:
            describe(state, scratch, now)
        if stages == 4:
            weigh_moment(state, scratch, ANY)
            score_first(scratch)
        if stages > 4:
            score(state, scratch, ANY)
        if stages > 5:
            select(scratch, scratch.scores[0], best)
    return candidates


def run(
    file: Path | None = None,
    *,
    artist: str | None = None,
    user: str | None = None,
    item: str | None = None,
    when: str | None = None,
    limit: int = 40_000,
) -> dict[str, Any]:
    """Measure the processor time of a list by stage, and of a play learned, without servers.

    Parameters
    ----------
    file
        Interactions, parquet or csv; without one, plays are invented.
    user, item, when, artist
        Columns of the file, as of ``segue evaluate``.
    limit
        Plays learned first.
    """
    if file is None:
        data = _invented(limit)
    else:
        data = read_interactions(file, user=user, item=item, time=when, artist=artist, limit=limit)
    model = Recommender(ModelConfig())
    learn_us = _learn(model, data)
    users = (data.users + 1).astype(np.uint64)
    newest = list(dict.fromkeys(users[::-1].tolist()))[:_LISTENERS]
    windows = [model.window(user) for user in newest]
    width = max(len(window[0]) for window in windows)
    sizes = np.array([len(window[0]) for window in windows])
    rows = np.zeros((len(windows), width), np.int32)
    times = np.zeros((len(windows), width), np.int64)
    ratios = np.full((len(windows), width), 255, np.uint8)
    for i, (row, second, ratio) in enumerate(windows):
        rows[i, : sizes[i]], times[i, : sizes[i]], ratios[i, : sizes[i]] = row, second, ratio
    best = np.zeros(20, np.int64)
    used = [1e9] * (len(_STAGES) + 1)
    met = [0] * (len(_STAGES) + 1)
    nothing, handed = sizes[:0], 1e9
    for attempt in range(_ROUNDS + 1):
        for stages in range(len(_STAGES) + 1):
            start = time.process_time_ns()
            met[stages] = lists(
                model.state, model.scratch, sizes, rows, times, ratios, stages, best
            )
            spent = (time.process_time_ns() - start) / 1000 / len(windows)
            if attempt:  # the first time it is compiled
                used[stages] = min(used[stages], spent)
        start = time.process_time_ns()
        for _ in range(100):
            lists(model.state, model.scratch, nothing, rows, times, ratios, 0, best)
        handed = min(handed, (time.process_time_ns() - start) / 1000 / 100)
    return {
        "plays": len(data),
        "learn_us_per_play": round(learn_us, 2),
        "list_us": round(used[-1], 1),
        "stages_us": {name: round(used[k + 1] - used[k], 1) for k, name in enumerate(_STAGES)},
        "floor_hand_arrays_us": round(handed, 1),
        "plays_of_a_window": round(float(sizes.mean()), 1),
        "proposed": round(met[1] / len(windows)),
        "ranked": round(met[2] / len(windows)),
        "machine": machine(),
    }


def _learn(model: Recommender, data: Interactions) -> float:
    """Learn all; return microseconds of processor time a play, registering tracks left out."""
    users, items = (data.users + 1).astype(np.uint64), (data.items + 1).astype(np.uint64)
    spent = 0
    for at in range(0, len(data), 1000):
        part = slice(at, at + 1000)
        if data.artists is not None:
            for k in range(at, min(at + 1000, len(data))):
                model.register_track(int(items[k]), artist_key=int(data.artists[k]) + 1)
        start = time.process_time_ns()
        model.learn_plays(users[part], items[part], data.seconds[part], data.ratios[part])
        if at:  # the first call compiles
            spent += time.process_time_ns() - start
    return spent / 1000 / max(1, len(data) - 1000)


def _invented(plays: int) -> Interactions:
    log = interactions(plays, listeners=2_000, tracks=5_000)
    users = {name: n for n, name in enumerate(dict.fromkeys(log.users))}
    items = np.array([int(item) for item in log.items])
    return Interactions(
        users=np.array([users[name] for name in log.users]),
        items=items,
        seconds=log.seconds,
        ratios=np.full(plays, 255, np.uint8),
        columns=("", "", ""),
        artists=items // 10,
    )
