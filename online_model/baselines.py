"""Plain models to be better than, under the same protocol: popularity, Markov, item neighbours.

Each scores every item; neighbour tables are bounded but wide (256 slots), so that the comparison
is with the method and not with a small table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from online_model._numba import compiled
from online_model.neighbours import strengthen
from online_model.state import Array

_SLOTS = 256
Items = npt.NDArray[np.int64]


class Baseline(ABC):
    """A model that scores all items at once.

    Parameters
    ----------
    items
        Number of items there will ever be.

    Examples
    --------
    >>> model = Popularity(items=3)
    >>> model.learn(np.array([], np.int64), 2, 100.0)
    >>> model.score(np.array([], np.int64), 101.0).tolist()
    [0.0, 0.0, 1.0]
    """

    def __init__(self, items: int) -> None:
        self.popularity = np.zeros(items)
        self.scores = np.zeros(items)

    def meet(self, item: int, artist: int) -> None:
        """Note that an item is known from now on, of an artist (-1 unknown)."""
        del item, artist

    @abstractmethod
    def score(self, history: Items, now: float) -> npt.NDArray[np.float64]:
        """Return the scores of all items for a listener's plays, oldest first."""

    @abstractmethod
    def learn(self, history: Items, item: int, now: float) -> None:
        """Learn that the item was played after the history."""


class Popularity(Baseline):
    """Most played."""

    def score(self, history: Items, now: float) -> npt.NDArray[np.float64]:
        """Return the number of plays."""
        return self.popularity

    def learn(self, history: Items, item: int, now: float) -> None:
        """Count the play."""
        self.popularity[item] += 1.0


class DecayedPopularity(Baseline):
    """Most played lately: a play counts half after seven days.

    Examples
    --------
    >>> model, week = DecayedPopularity(items=2), 7 * 86_400.0
    >>> nothing = np.array([], np.int64)
    >>> model.learn(nothing, 0, 0.0); model.learn(nothing, 1, week)
    >>> model.score(nothing, week).tolist()
    [1.0, 2.0]
    """

    half_life = 7 * 86_400.0

    def __init__(self, items: int) -> None:
        super().__init__(items)
        self._origin: float | None = None

    def score(self, history: Items, now: float) -> npt.NDArray[np.float64]:
        """Return forward-decayed plays."""
        return self.popularity

    def learn(self, history: Items, item: int, now: float) -> None:
        """Count the play with the weight of its time."""
        if self._origin is None:
            self._origin = now
        if now - self._origin > 200 * self.half_life:
            self.popularity *= 2.0 ** (-(now - self._origin) / self.half_life)
            self._origin = now
        self.popularity[item] += 2.0 ** ((now - self._origin) / self.half_life)


class Markov(Baseline):
    """Scores an item by how often it followed the listener's last three items.

    The share of transitions from the last item has weight 1, from the one before .3, then .1.

    Examples
    --------
    >>> model = Markov(items=3)
    >>> for _ in range(2):
    ...     model.learn(np.array([0]), 1, 0.0)
    >>> int(model.score(np.array([0]), 0.0).argmax())
    1
    """

    def __init__(self, items: int) -> None:
        super().__init__(items)
        self._ids = np.zeros((items, _SLOTS), np.int32)
        self._weights = np.zeros((items, _SLOTS), np.float32)
        self._norms = np.zeros(items)

    def score(self, history: Items, now: float) -> npt.NDArray[np.float64]:
        """Return interpolated transition shares, ties by popularity."""
        np.multiply(self.popularity, 1e-9, out=self.scores)
        for back, weight in zip(history[::-1][:3], (1.0, 0.3, 0.1), strict=False):
            scale = weight / (self._norms[back] + 1.0)
            _spread(self._ids, self._weights, int(back), scale, self.scores)
        return self.scores

    def learn(self, history: Items, item: int, now: float) -> None:
        """Count the transition from the last item."""
        self.popularity[item] += 1.0
        if len(history):
            strengthen(self._ids, self._weights, int(history[-1]), item, 1.0)
            self._norms[history[-1]] += 1.0


class ItemNeighbours(Baseline):
    """Items of the same listeners (cosine), recent items of the listener weighing more.

    Examples
    --------
    >>> model = ItemNeighbours(items=3)
    >>> model.learn(np.array([], np.int64), 0, 0.0)
    >>> model.learn(np.array([0]), 2, 0.0)
    >>> int(model.score(np.array([0]), 0.0).argmax())
    2
    """

    def __init__(self, items: int) -> None:
        super().__init__(items)
        self._ids = np.zeros((items, _SLOTS), np.int32)
        self._weights = np.zeros((items, _SLOTS), np.float32)
        self._counts = np.zeros(items)

    def score(self, history: Items, now: float) -> npt.NDArray[np.float64]:
        """Return summed cosines, ties by popularity."""
        self.scores[:] = 0.0
        _spread_cosine(self._ids, self._weights, self._counts, history[-100:], self.scores)
        self.scores += 1e-9 * self.popularity
        return self.scores

    def learn(self, history: Items, item: int, now: float) -> None:
        """Count the item together with the listener's others, once per listener."""
        self.popularity[item] += 1.0
        others = np.unique(history)
        if item in others:
            return
        self._counts[item] += 1.0
        _count_pairs(self._ids, self._weights, others[-100:], item)


class OfLastArtist(Baseline):
    """The artist just played: its most played tracks, and then what is popular.

    Examples
    --------
    >>> model, nothing = OfLastArtist(items=3), np.array([], np.int64)
    >>> for item, artist in ((0, 7), (1, 8), (2, 7)):
    ...     model.meet(item, artist)
    >>> model.learn(nothing, 1, 0.0)
    >>> int(model.score(nothing, 0.0).argmax()), int(model.score(np.array([0]), 0.0).argmax())
    (1, 0)
    """

    def __init__(self, items: int) -> None:
        super().__init__(items)
        self.artist_of = np.full(items, -1)
        self.tracks: dict[int, list[int]] = {}

    def meet(self, item: int, artist: int) -> None:
        """Note the artist of an item."""
        self.artist_of[item] = artist
        self.tracks.setdefault(artist, []).append(item)

    def score(self, history: Items, now: float) -> npt.NDArray[np.float64]:
        """Return popularity, the artist's tracks above all others."""
        np.multiply(self.popularity, 1e-9, out=self.scores)
        tracks = self._tracks(history)
        self.scores[tracks] = self._order(tracks)
        return self.scores

    def learn(self, history: Items, item: int, now: float) -> None:
        """Count the play."""
        self.popularity[item] += 1.0

    def _tracks(self, history: Items) -> Items:
        artist = int(self.artist_of[history[-1]]) if len(history) else -1
        return np.array(self.tracks.get(artist, []) if artist >= 0 else [], np.int64)

    def _order(self, tracks: Items) -> npt.NDArray[np.float64]:
        return np.asarray(1.0 + self.popularity[tracks])


class NewestOfLastArtist(OfLastArtist):
    """The artist just played: the tracks met last, and then what is popular."""

    def _order(self, tracks: Items) -> npt.NDArray[np.float64]:
        return 1.0 + np.arange(len(tracks), dtype=np.float64)


@compiled
def _spread(ids: Array, weights: Array, row: int, scale: float, out: Array) -> None:
    for k in range(ids.shape[1]):
        if ids[row, k] == 0:
            return
        out[ids[row, k] - 1] += scale * weights[row, k]


@compiled
def _spread_cosine(ids: Array, weights: Array, counts: Array, items: Array, out: Array) -> None:
    n = items.shape[0]
    for q in range(n):
        row = items[n - 1 - q]
        scale = np.exp(-q / 3.0) / np.sqrt(counts[row] + 10.0)
        for k in range(ids.shape[1]):
            if ids[row, k] == 0:
                break
            other = ids[row, k] - 1
            out[other] += scale * weights[row, k] / np.sqrt(counts[other] + 10.0)


@compiled
def _count_pairs(ids: Array, weights: Array, others: Array, item: int) -> None:
    for q in range(others.shape[0]):
        strengthen(ids, weights, others[q], item, 1.0)
        strengthen(ids, weights, item, others[q], 1.0)


BASELINES: dict[str, Callable[[int], Baseline]] = {
    "popularity": Popularity,
    "decayed popularity": DecayedPopularity,
    "markov": Markov,
    "item neighbours": ItemNeighbours,
    "last artist": OfLastArtist,
    "last artist, newest": NewestOfLastArtist,
}
NAMED = ("last artist", "last artist, newest")
"""Of these, the ones that need the artists of tracks."""
