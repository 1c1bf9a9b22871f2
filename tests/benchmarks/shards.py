"""`segue bench shards`: what lists lose when each of S learners has a share of the listeners.

Every shard has a model of its own. It learns the plays of its own listeners at once and in full.
The increments that another shard's plays make to the tables of tracks reach it late. In the
simulation the shard gets the play itself, late, and learns it without a trial: that makes the same
additions, in the order in which the increments would arrive.

Trials teach the ranker, so a shard's ranker learns from its own listeners only. ``ranker`` chooses
how the shards exchange its weights. A list is made by the listener's own shard, or by
the next one (``asked``), which knows the listener's window (from Redis) but gets the increments of
the newest plays late. Quality is prequential, as of ``segue evaluate``.

The floor is one learner on the same plays. Sizes and times of increments are of
:mod:`tests.benchmarks.increments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from online_model import ModelConfig, Recommender, TrackNames, evaluation
from online_model.interactions import Interactions, read_interactions
from online_model.judging import judge
from online_model.metrics import gains
from online_model.serving import Wanted, Window, new_room, serve
from online_model.state import PLAYS, RANKER_EVERY, WARM_UP, as_readonly
from tests.benchmarks.figures import machine
from tests.benchmarks.increments import measure

_WEIGHTS = ("linear", "linear_squares", "hidden", "hidden_squares", "output", "output_squares")
_NOBODY = np.zeros(0, np.uint64)
_FIGURES = ("hr@10", "ndcg@10")


class Plan(NamedTuple):
    """How the learners share the plays.

    Attributes
    ----------
    shards
        Learners; listener ``u`` belongs to shard ``u % shards``.
    plays, seconds
        Increments of a play arrive after this many later plays of all shards, and not before this
        many seconds of the log's time.
    ranker
        ``own``: the weights of a shard are its own. ``mean``: every ``exchange`` plays of all
        shards, each takes the mean of all. ``sum``: each adds what the others' have changed.
    exchange
        Plays between two exchanges of weights.
    asked
        ``own``: the listener's shard makes the list. ``other``: the next shard makes it.
    """

    shards: int
    plays: int = 0
    seconds: int = 0
    ranker: str = "mean"
    exchange: int = 1_000
    asked: str = "own"


class Shard:
    """One learner: its model, and how far it has applied the plays of the others."""

    def __init__(self, number: int, shards: int, config: ModelConfig) -> None:
        self.number, self.shards, self.applied = number, shards, 0
        self.model = Recommender(config)
        self.reading = as_readonly(self.model.state)
        self._pace = self.model.state.settings[[RANKER_EVERY, WARM_UP]].copy()
        self._own = 0

    def apply(self, data: Interactions, end: int) -> None:
        """Add what the plays of others before ``end`` make, in log order and without trials."""
        part = np.arange(self.applied, end)
        self.applied = max(end, self.applied)
        part = part[data.users[part] % self.shards != self.number]
        if not len(part):
            return
        state = self.model.state
        # With this pace the number of plays is never a multiple of the plays between two trials.
        state.settings[[RANKER_EVERY, WARM_UP]] = 2.0**60, 1.0
        state.counters[PLAYS] = 1
        self._learn(data, part)

    def learn(self, data: Interactions, k: int) -> None:
        """Learn a play of an own listener, with a trial when one is due by the own plays."""
        state = self.model.state
        state.settings[[RANKER_EVERY, WARM_UP]] = self._pace
        state.counters[PLAYS] = self._own
        self._learn(data, np.array([k]))
        self._own = int(state.counters[PLAYS])

    def _learn(self, data: Interactions, part: npt.NDArray[np.int64]) -> None:
        items = evaluation._keys(data.items[part])

        def name(position: int) -> TrackNames:
            artists = data.artists
            return TrackNames(artist_key=0 if artists is None else int(artists[part[position]]) + 1)

        self.model.learn_plays(
            evaluation._keys(data.users[part]), items, data.seconds[part], data.ratios[part],
            name=name,
        )  # fmt: skip


def arrivals(seconds: npt.NDArray[np.int64], plan: Plan) -> npt.NDArray[np.int64]:
    """Return of each play how many plays of the log have reached all shards before it.

    Examples
    --------
    >>> arrivals(np.array([0, 10, 20, 30]), Plan(2, plays=1)).tolist()
    [0, 0, 1, 2]
    >>> arrivals(np.array([0, 10, 20, 30]), Plan(2, seconds=20)).tolist()
    [0, 0, 1, 2]
    """
    by_count = np.arange(len(seconds)) - plan.plays
    by_time = np.arange(len(seconds))
    if plan.seconds:
        by_time = np.searchsorted(seconds, seconds - plan.seconds, "right")
    return np.maximum(0, np.minimum(by_count, by_time)).astype(np.int64)


def simulate(data: Interactions, plan: Plan, config: ModelConfig) -> evaluation.Ranks:
    """Rank and learn every play with the learners of a plan; return where the true tracks stood."""
    n = len(data)
    config = evaluation._roomy(config, data)
    shards = [Shard(number, plan.shards, config) for number in range(plan.shards)]
    due = arrivals(data.seconds, plan)
    base = weights(shards[0].model)
    users, items = evaluation._keys(data.users), evaluation._keys(data.items)
    heard: dict[int, dict[int, None]] = {}
    had = np.zeros(config.tracks, np.int64)
    found = evaluation.Ranks(np.zeros(n, np.int64), np.zeros(n, np.int64))
    ranks, shown, room = np.zeros(2, np.int64), np.zeros((2, 10), np.int32), new_room(10, 10)
    for k in range(n):
        if plan.ranker != "own" and k and k % plan.exchange == 0:
            base = exchange([shard.model for shard in shards], base, plan.ranker)
        user = int(data.users[k])
        owner = shards[user % plan.shards]
        asked = owner if plan.asked == "own" else shards[(user + 1) % plan.shards]
        for shard in {owner.number: owner, asked.number: asked}.values():
            shard.apply(data, int(due[k]))
        rows, seconds, ratios = owner.model.window(int(users[k]))
        window = Window(owner.model.state.track_key[rows], seconds, ratios)
        scratch = asked.model.scratch
        serve(
            asked.reading, scratch, window, Wanted(int(data.seconds[k]), 0, _NOBODY, 0, 0), room
        )  # fmt: skip
        own = heard.setdefault(user, {})
        known = asked.model.lookup(np.fromiter(own, np.uint64, len(own)))
        had[known[known >= 0]] = k + 1
        truth = int(asked.model.lookup(items[k : k + 1])[0])
        judge(asked.reading, scratch, truth, had, k + 1, ranks, shown)
        found.all[k], found.new[k] = ranks
        owner.learn(data, k)
        own[int(items[k])] = None
    return found


def weights(model: Recommender) -> list[npt.NDArray[np.float32]]:
    """Return copies of the ranker's weights and of its sums of squared gradients."""
    return [getattr(model.state, name).copy() for name in _WEIGHTS]


def exchange(
    models: Sequence[Recommender], base: list[npt.NDArray[np.float32]], how: str
) -> list[npt.NDArray[np.float32]]:
    """Give all models the same weights, and return these.

    Parameters
    ----------
    base
        The weights of all after the exchange before this.
    how
        ``mean`` of the weights, or ``sum`` of their changes since.
    """
    for start, name in zip(base, _WEIGHTS, strict=True):
        changes = np.stack([getattr(model.state, name) - start for model in models])
        start += changes.mean(axis=0) if how == "mean" else changes.sum(axis=0)
        for model in models:
            getattr(model.state, name)[:] = start
    return base


def run(
    file: Path,
    *,
    shards: Sequence[int] = (4, 16),
    plays: Sequence[int] = (1_000, 10_000),
    seconds: Sequence[int] = (1, 10, 60),
    ranker: str = "mean",
    exchange_plays: int = 1_000,
    asked: str = "own",
    seeds: int = 4,
    limit: int = 60_000,
    user: str | None = None,
    item: str | None = None,
    when: str | None = None,
    artist: str | None = None,
) -> dict[str, Any]:
    """Simulate learners that share the plays by listener and send each other what tracks gained.

    Parameters
    ----------
    file
        Interactions, parquet or csv.
    shards
        Numbers of learners, each simulated beside one learner.
    plays
        Delays of the increments, in plays of all shards.
    seconds
        Delays of the increments, in seconds of the log's time.
    ranker
        own: each learner keeps its weights. mean, sum: they are averaged, or their changes added.
    exchange_plays
        Plays of all shards between two exchanges of weights.
    asked
        own: the listener's learner makes the list. other: another one makes it.
    seeds
        Starts of the ranker's weights, from 1 on.
    limit
        Plays of the file.
    user, item, when, artist
        Columns of the file, as of ``segue evaluate``.
    """
    data = read_interactions(file, user=user, item=item, time=when, artist=artist, limit=limit)
    new = evaluation.first_time(data)
    one = _mean_of_seeds(data, Plan(1), seeds, new)
    out: dict[str, Any] = {"events": len(data), "machine": machine(), "one": one[0]}
    for count in shards:
        rows = {}
        delays = [(f"{n} plays", n, 0) for n in plays] + [(f"{s} s", 0, s) for s in seconds]
        for name, by_plays, by_seconds in delays:
            plan = Plan(count, by_plays, by_seconds, ranker, exchange_plays, asked)
            figures, values = _mean_of_seeds(data, plan, seeds, new)
            figures["less_than_one"] = {
                key: round(float((one[1][key] - values[key]).mean()), 4) for key in values
            }
            rows[name] = figures
        out[f"{count} shards"] = rows
    out["increments"] = measure(data, shards)
    return out


def _mean_of_seeds(
    data: Interactions, plan: Plan, seeds: int, new: npt.NDArray[np.bool_]
) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.float64]]]:
    """Return each figure's mean and standard deviation over the starts, and its values."""
    values: dict[str, list[float]] = {}
    for seed in range(1, seeds + 1):
        ranks = simulate(data, plan, ModelConfig(seed=seed))
        for slice_, which in (("all", ranks.all), ("new", ranks.new[new])):
            for figure in _FIGURES:
                value = float(gains(which, figure).mean())
                values.setdefault(f"{slice_} {figure}", []).append(value)
    arrays = {key: np.array(each) for key, each in values.items()}
    figures = {
        key: {"mean": round(float(each.mean()), 4), "sd": round(float(each.std()), 4)}
        for key, each in arrays.items()
    }
    return figures, arrays
