"""`segue bench threads`: what learning in several threads gains, and what it changes.

One process, no servers. **Speed**: the same plays are learned by one thread, then by several
threads that share a model, then, as the floor, by as many threads that have a model each and share
nothing. A turn takes some 20 ms, so that all three meet the same load of the machine.
On a busy machine no thread gets a core to itself, so compare ``times_one_thread`` with the floor.

**Quality**: pieces of plays are ranked first and then learned, by one thread and by several.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from online_model import LearningThreads, ModelConfig, Recommender, evaluation
from online_model.interactions import Interactions, read_interactions
from online_model.judging import judge
from online_model.metrics import summarise
from online_model.serving import Wanted, Window, new_room, serve
from online_model.state import as_readonly
from tests.benchmarks.figures import machine

_TURN = 500
_NOBODY = np.zeros(0, np.uint64)


def run(
    file: Path,
    *,
    threads: Sequence[int] = (2,),
    piece: int = 256,
    repeats: int = 2,
    limit: int = 40_000,
    user: str | None = None,
    item: str | None = None,
    when: str | None = None,
    artist: str | None = None,
) -> dict[str, Any]:
    """Measure the speed and the quality of a model that several threads learn.

    Parameters
    ----------
    file
        Interactions, parquet or csv.
    threads
        Numbers of threads, each beside one.
    piece
        Plays that are ranked before they are learned together, for the quality.
    repeats
        Runs of several threads: they differ.
    limit
        Plays of the file; the first half is learned before the clock runs.
    user, item, when, artist
        Columns of the file, as of ``segue evaluate``.
    """
    data = read_interactions(file, user=user, item=item, time=when, artist=artist, limit=limit)
    evaluation.warm_up()
    speed(data, 2, 2 * _TURN)
    out: dict[str, Any] = {"plays": len(data), "machine": machine()}
    out["one_thread"] = {"quality": quality(data, 1, piece)}
    for count in threads:
        out[f"{count} threads"] = {
            "speed": speed(data, count, len(data)),
            "quality": [quality(data, count, piece) for _ in range(repeats)],
        }
    return out


def speed(data: Interactions, threads: int, limit: int) -> dict[str, float]:
    """Return how fast one thread, several, and several that share nothing learn."""
    config = evaluation._roomy(ModelConfig(), data)
    models = [Recommender(config) for _ in range(2 + threads)]
    alone, shared = LearningThreads(models[0], 1), LearningThreads(models[1], threads)
    apart = [LearningThreads(model, 1) for model in models[2:]]
    used: dict[str, list[tuple[float, float]]] = {"one": [], "shared": [], "apart": []}
    with ThreadPoolExecutor(threads) as pool:
        for at in range(0, limit, _TURN):
            part = np.arange(at, min(at + _TURN, limit))
            # Each model apart learns all plays: with a share of them it would hold more trials.
            turns = {
                "one": [(alone, part)],
                "shared": [(shared, part)],
                "apart": [(learner, part) for learner in apart],
            }
            for name, jobs in turns.items():
                wall, cpu = time.perf_counter(), time.process_time()
                list(pool.map(partial(_learn, data), *zip(*jobs, strict=True)))
                spent = time.perf_counter() - wall, time.process_time() - cpu
                if at >= limit // 2:
                    used[name].append(spent)
    shared.close()
    one, several, floor = (np.array(used[name]) for name in ("one", "shared", "apart"))
    gain = float(one[:, 0].sum() / several[:, 0].sum())
    possible = threads * float(one[:, 0].sum() / floor[:, 0].sum())
    return {
        "times_one_thread": round(gain, 2),
        "floor_times_one_thread": round(possible, 2),
        "ratio_to_floor": round(gain / possible, 3),
        "processor_time_of_one_thread": round(float(several[:, 1].sum() / one[:, 1].sum()), 3),
        "cpu_us_per_play": round(float(one[:, 1].sum()) / (limit - limit // 2) * 1e6, 1),
    }


def _learn(data: Interactions, learner: LearningThreads, part: npt.NDArray[np.int64]) -> None:
    def meet(position: int) -> None:
        play = int(part[position])
        artist = 0 if data.artists is None else int(data.artists[play]) + 1
        learner.model.register_track(int(data.items[play]) + 1, artist_key=artist)

    users, items = evaluation._keys(data.users[part]), evaluation._keys(data.items[part])
    learner.learn_plays(users, items, data.seconds[part], data.ratios[part], meet=meet)


def quality(data: Interactions, threads: int, piece: int) -> dict[str, Any]:
    """Rank the plays of a piece, then learn them together; return the figures of all plays."""
    model = Recommender(evaluation._roomy(ModelConfig(), data))
    learner = LearningThreads(model, threads)
    reading, scratch = as_readonly(model.state), model.scratch
    own = evaluation._Histories(data)
    had = np.zeros(model.settings.tracks, np.int64)
    found = evaluation.Ranks(np.zeros(len(data), np.int64), np.zeros(len(data), np.int64))
    ranks, shown, room = np.zeros(2, np.int64), np.zeros((2, 10), np.int32), new_room(10, 10)
    users, items = evaluation._keys(data.users), evaluation._keys(data.items)
    for start in range(0, len(data), piece):
        part = np.arange(start, min(start + piece, len(data)))
        for k in part.tolist():
            window, seconds, ratios = model.window(int(users[k]))
            known = Window(model.state.track_key[window], seconds, ratios)
            wanted = Wanted(int(data.seconds[k]), 0, _NOBODY, 0, 0)
            serve(reading, scratch, known, wanted, room)
            had[own.rows(k)] = k + 1
            truth = int(model.lookup(items[k : k + 1])[0])
            judge(reading, scratch, truth, had, k + 1, ranks, shown)
            found.all[k], found.new[k] = ranks
        _learn(data, learner, part)
        for k in part.tolist():
            own.add(k, int(model.lookup(items[k : k + 1])[0]))
    learner.close()
    return {"all": summarise(found.all), "new": summarise(found.new[evaluation.first_time(data)])}
