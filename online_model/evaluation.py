"""Prequential evaluation: every play is first predicted, then learned; nothing is left out.

For each play, in the order of time, the model first ranks all tracks that it knows. The evaluation
notes the rank of the track that was played, among all tracks (``all``) and, if the listener had not
played it before, among the tracks that are new to the listener (``new``). Then the model learns the
play. Ranking and learning are timed separately. Plays of unknown listeners and tracks count too; a
track that no listener has played before is a miss. Ties count against the model. The protocol
follows Vinagre, Jorge and Gama, "Evaluation of recommender systems in streaming environments",
REDD 2014.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from online_model._numba import compiled
from online_model.baselines import BASELINES, NAMED
from online_model.cataloguing import Catalogue
from online_model.config import ModelConfig
from online_model.interactions import Interactions
from online_model.judging import judge
from online_model.layout import Layout
from online_model.metrics import intervals, summarise
from online_model.recommender import Recommender
from online_model.serving import Wanted, Window, new_room, serve
from online_model.state import Array, as_readonly

Progress = Callable[[int, int, str], None]
"""Called with events done, events in all, and the model's name."""

_K = 10
_EVERY = 500
_NOBODY = np.zeros(0, np.uint64)
_MISS = 2**31 - 1


@dataclass(slots=True)
class Ranks:
    """Where the true items stood, one entry per event, and what was shown."""

    all: npt.NDArray[np.int64]
    new: npt.NDArray[np.int64]
    shown_all: set[int] = field(default_factory=set)
    shown_new: set[int] = field(default_factory=set)
    rank_ns: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    learn_ns: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


def evaluate(
    data: Interactions,
    *,
    config: ModelConfig | None = None,
    baselines: Sequence[str] = (),
    progress: Progress | None = None,
    whole_artists: bool = False,
) -> dict[str, Any]:
    """Evaluate the recommender, and baselines beside it, on one stream.

    Parameters
    ----------
    config
        Constants of the model; capacities are raised so that nothing is evicted.
    baselines
        Names in :data:`online_model.baselines.BASELINES`.
    whole_artists
        Tracks are known from the first play of their artist on, before anybody played them
        (:class:`online_model.cataloguing.Catalogue`). The report then has ``unplayed``: how first
        plays of tracks that nobody had played stood among the tracks new to the listener.

    Returns
    -------
    dict
        The JSON object of ``segue evaluate``: ``events``, ``all``, ``new``, ``rank_us``,
        ``learn_us``, ``replay_events_per_s``, ``state_bytes`` and, besides, counts of cold users
        and items, 95% intervals and the baselines.

    Examples
    --------
    One listener repeats three tracks in one order. The model learns it; popularity cannot:

    >>> data = Interactions(users=np.zeros(60, np.int64), items=np.arange(60) % 3,
    ...     seconds=200 * np.arange(60), ratios=np.full(60, 255, np.uint8),
    ...     columns=("user", "item", "time"))
    >>> small = ModelConfig(tracks=64, listeners=64)
    >>> found = evaluate(data, config=small, baselines=["popularity"])
    >>> found["all"]["hr@1"] > 0.9, found["baselines"]["popularity"]["all"]["hr@1"]
    (True, 0.0)
    """
    report = progress or (lambda done, total, name: None)
    config = _roomy(config or ModelConfig(), data)
    new = first_time(data)
    warm_up()
    ranks, model = run_model(data, config, report, whole_artists=whole_artists)
    first = unplayed(data) if whole_artists else None
    out: dict[str, Any] = {"events": len(data), **_summary(ranks, data, new, first)}
    out["rank_us"] = _percentiles(ranks.rank_ns)
    out["learn_us"] = _percentiles(ranks.learn_ns)
    out["replay_events_per_s"] = round(replay_rate(data, config))
    tracks, listeners, rest = state_bytes(model)
    out["state_bytes"] = tracks + listeners + rest
    out["state"] = {
        "bytes_per_track": round(tracks / max(1, model.tracks)),
        "bytes_per_listener": round(listeners / max(1, int(data.users.max(initial=-1)) + 1)),
        "shared_bytes": rest,
    }
    out["ci95"] = {
        "all": intervals(ranks.all, data.users),
        "new": intervals(ranks.new[new], data.users[new]),
    }
    out["stream"] = _stream(data, new)
    if baselines:
        out["baselines"] = {
            name: _summary(
                run_baseline(name, data, report, whole_artists=whole_artists), data, new, first
            )
            for name in baselines
            if data.artists is not None or name not in NAMED
        }
    return out


def first_time(data: Interactions) -> npt.NDArray[np.bool_]:
    """Return which events are a listener's first with an item, shape (n,).

    Examples
    --------
    >>> data = Interactions(users=np.array([0, 0, 1]), items=np.array([0, 0, 0]),
    ...     seconds=np.array([0, 1, 2]), ratios=np.full(3, 255, np.uint8),
    ...     columns=("user", "item", "time"))
    >>> first_time(data).tolist()
    [True, False, True]
    """
    pairs = data.users * (int(data.items.max(initial=0)) + 1) + data.items
    first = np.zeros(len(data), np.bool_)
    first[np.unique(pairs, return_index=True)[1]] = True
    return first


def unplayed(data: Interactions) -> npt.NDArray[np.bool_]:
    """Return a mask of the events that are the first play of a track by any listener.

    Where artists are known, the first play of an artist does not count.
    """
    first = np.zeros(len(data), np.bool_)
    first[np.unique(data.items, return_index=True)[1]] = True
    if data.artists is not None:
        first[np.unique(data.artists, return_index=True)[1]] = False
    return first


def _roomy(config: ModelConfig, data: Interactions) -> ModelConfig:
    values = {name: getattr(config, name) for name in config.__struct_fields__}
    values["tracks"] = max(config.tracks, int(data.items.max(initial=0)) + 1)
    values["listeners"] = max(config.listeners, int(data.users.max(initial=0)) + 1)
    return ModelConfig(**values)


def run_model(
    data: Interactions, config: ModelConfig, report: Progress, *, whole_artists: bool = False
) -> tuple[Ranks, Recommender]:
    """Rank and learn every event with the recommender, through the code that serves."""
    n = len(data)
    model = Recommender(config)
    reading, scratch = as_readonly(model.state), model.scratch
    users, tracks = _keys(data.users), _keys(data.items)
    out = Ranks(np.zeros(n, np.int64), np.zeros(n, np.int64))
    out.rank_ns, out.learn_ns = np.zeros(n, np.int64), np.zeros(n, np.int64)
    had = np.zeros(config.tracks, np.int64)
    own = _Histories(data)
    catalogue = Catalogue(data, whole_artists=whole_artists)
    ranks, shown = np.zeros(2, np.int64), np.zeros((2, _K), np.int32)
    room = new_room(_K, _K)
    # Processor time of this thread: on a busy machine the wall clock times the neighbours.
    clock = time.thread_time_ns
    for k in range(n):
        window, seconds, ratios = model.window(int(users[k]))
        keys = model.state.track_key[window]
        now = int(data.seconds[k])
        start = clock()
        serve(reading, scratch, Window(keys, seconds, ratios), Wanted(now, 0, _NOBODY, 0, 0), room)
        out.rank_ns[k] = clock() - start
        truth = int(model.lookup(tracks[k : k + 1])[0])
        had[own.rows(k)] = k + 1
        judge(reading, scratch, truth, had, k + 1, ranks, shown)
        out.all[k], out.new[k] = ranks
        out.shown_all.update(shown[0].tolist())
        out.shown_new.update(shown[1].tolist())
        one = slice(k, k + 1)
        catalogue.register(model, k)
        start = clock()
        model.learn_plays(users[one], tracks[one], data.seconds[one], data.ratios[one])
        out.learn_ns[k] = clock() - start
        own.add(k, int(model.lookup(tracks[one])[0]))
        if k % _EVERY == 0:
            report(k, n, "segue")
    report(n, n, "segue")
    out.shown_all.discard(-1)
    out.shown_new.discard(-1)
    return out, model


class _Histories:
    """The distinct items each listener has had so far, in one array for all listeners."""

    def __init__(self, data: Interactions) -> None:
        counts = np.bincount(data.users) if len(data) else np.zeros(1, np.int64)
        self._start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._users = data.users
        self._size = np.zeros(len(counts), np.int64)
        self._rows = np.zeros(len(data), np.int64)
        self._known: set[tuple[int, int]] = set()

    def rows(self, k: int) -> npt.NDArray[np.int64]:
        user = self._users[k]
        return self._rows[self._start[user] : self._start[user] + self._size[user]]

    def add(self, k: int, row: int) -> None:
        user = int(self._users[k])
        if (user, row) not in self._known:
            self._known.add((user, row))
            self._rows[self._start[user] + self._size[user]] = row
            self._size[user] += 1


def run_baseline(
    name: str, data: Interactions, report: Progress, *, whole_artists: bool = False
) -> Ranks:
    """Rank and learn every event with a baseline that scores all items."""
    n, items = len(data), int(data.items.max(initial=0)) + 1
    catalogue = Catalogue(data, whole_artists=whole_artists)
    model = BASELINES[name](items)
    out = Ranks(np.zeros(n, np.int64), np.zeros(n, np.int64))
    had = np.zeros(items, np.int64)
    own = _Histories(data)
    plays = _Plays(data)
    ranks, shown = np.zeros(2, np.int64), np.zeros((2, _K), np.int32)
    for k in range(n):
        item, now = int(data.items[k]), float(data.seconds[k])
        history = plays.before(k)
        had[own.rows(k)] = k + 1
        scores = model.score(history, now)
        judge_dense(scores, catalogue.known, item, had, k + 1, ranks, shown)
        out.all[k], out.new[k] = ranks
        out.shown_all.update(shown[0].tolist())
        out.shown_new.update(shown[1].tolist())
        for found in catalogue.meet(k):
            model.meet(found, int(catalogue.artist_of[found]))
        model.learn(history, item, now)
        own.add(k, item)
        plays.add(k)
        if k % _EVERY == 0:
            report(k, n, name)
    report(n, n, name)
    out.shown_all.discard(-1)
    out.shown_new.discard(-1)
    return out


class _Plays:
    """Each listener's plays so far, oldest first."""

    def __init__(self, data: Interactions) -> None:
        counts = np.bincount(data.users) if len(data) else np.zeros(1, np.int64)
        self._start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._data = data
        self._size = np.zeros(len(counts), np.int64)
        self._items = np.zeros(len(data), np.int64)

    def before(self, k: int) -> npt.NDArray[np.int64]:
        user = self._data.users[k]
        return self._items[self._start[user] : self._start[user] + self._size[user]]

    def add(self, k: int) -> None:
        user = self._data.users[k]
        self._items[self._start[user] + self._size[user]] = self._data.items[k]
        self._size[user] += 1


@compiled
def judge_dense(
    scores: Array, known: Array, truth: int, had: Array, stamp: int, ranks: Array, shown: Array
) -> None:
    """Rank the true item by scores of all items; those that are not ``known`` do not exist yet."""
    size = shown.shape[1]
    for task in range(2):
        ranks[task] = _MISS
        if known[truth]:
            above = 1
            for item in range(known.shape[0]):
                if item != truth and known[item] and scores[item] >= scores[truth]:
                    above += task == 0 or had[item] != stamp
            ranks[task] = above
        n = 0
        for item in range(known.shape[0]):
            if not known[item] or (task == 1 and had[item] == stamp):
                continue
            at = n
            while at > 0 and scores[shown[task, at - 1]] < scores[item]:
                at -= 1
            if at < size:
                n = min(n + 1, size)
                for k in range(n - 1, at, -1):
                    shown[task, k] = shown[task, k - 1]
                shown[task, at] = item
        for k in range(n, size):
            shown[task, k] = -1


def replay_rate(data: Interactions, config: ModelConfig) -> float:
    """Return plays per second of processor time when learning only, in the learner's batches."""
    model = Recommender(config)
    users, tracks = _keys(data.users), _keys(data.items)
    catalogue = Catalogue(data)
    start = time.thread_time()
    for at in range(0, len(data), 1000):
        part = slice(at, at + 1000)
        if data.artists is not None:
            for k in range(at, min(at + 1000, len(data))):
                catalogue.register(model, k)
        model.learn_plays(users[part], tracks[part], data.seconds[part], data.ratios[part])
    return len(data) / max(time.thread_time() - start, 1e-9)


def state_bytes(model: Recommender) -> tuple[int, int, int]:
    """Return the bytes of used rows: of tracks and their sessions, of listeners, and shared."""
    layout = Layout(model.settings)
    tracks = listeners = rest = 0
    for spec, array in zip(layout.fields, model.state, strict=True):
        rows = layout.rows_in_use(model.state, spec)
        size = rows * (array.nbytes // max(1, array.shape[0]))
        if spec.name.startswith(("window", "listener")) and spec.rows_in_use >= 0:
            listeners += size
        elif spec.rows_in_use >= 0:
            # Tables that nobody has filled are holes of the file: they take no room.
            tracks += size if array[:rows].any() else 0
        else:
            rest += int(np.count_nonzero(array)) * array.itemsize
    return tracks, listeners, rest


def warm_up() -> None:
    """Compile everything the evaluation runs, so that no timing contains the compiler."""
    n = 64
    data = Interactions(
        users=np.arange(n) % 3,
        items=np.arange(n) % 7,
        seconds=1_000_000 + 60 * np.arange(n),
        ratios=np.full(n, 255, np.uint8),
        columns=("", "", ""),
        artists=np.arange(n) % 7 % 3,
    )
    small = ModelConfig(tracks=64, listeners=64)
    run_model(data, small, lambda done, total, name: None)


def _keys(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    return (codes + 1).astype(np.uint64)


def _summary(
    ranks: Ranks,
    data: Interactions,
    new: npt.NDArray[np.bool_],
    first: npt.NDArray[np.bool_] | None,
) -> dict[str, Any]:
    items = max(1, int(data.items.max(initial=0)) + 1)
    both: dict[str, Any] = {"all": summarise(ranks.all), "new": summarise(ranks.new[new])}
    if first is not None:
        both["unplayed"] = {"events": int(first.sum()), **summarise(ranks.new[first])}
    both["all"]["coverage@10"] = round(len(ranks.shown_all) / items, 4)
    both["new"]["coverage@10"] = round(len(ranks.shown_new) / items, 4)
    return both


def _percentiles(ns: npt.NDArray[np.int64]) -> dict[str, float]:
    if not len(ns):
        return {"p50": 0.0, "p99": 0.0}
    p50, p99 = np.percentile(ns, [50, 99]) / 1000
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1)}


def _stream(data: Interactions, new: npt.NDArray[np.bool_]) -> dict[str, Any]:
    users, first_user = np.unique(data.users, return_index=True)
    items, first_item = np.unique(data.items, return_index=True)
    return {
        "users": len(users),
        "items": len(items),
        "new_events": int(new.sum()),
        "cold_user_events": len(first_user),
        "cold_item_events": len(first_item),
        "columns": dict(zip(("user", "item", "time"), data.columns, strict=True)),
    }
