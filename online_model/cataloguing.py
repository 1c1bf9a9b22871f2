"""Registers tracks in a model as the learner does: at their first play, under their artist."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from online_model.interactions import Interactions
from online_model.recommender import Recommender

_SHUFFLE = np.uint64(0x9E3779B97F4A7C15)


class Catalogue:
    """Registers the tracks of an evaluated stream of plays that has artists, in order of play.

    Parameters
    ----------
    data
        The stream. Without artists nothing is registered here: the model learns track keys only.
    whole_artists
        At the first play of an artist, register all of its tracks that the stream holds, as a
        service does that fetches an artist's tracks. Their order is arbitrary: it reveals nothing
        about later plays.

    Examples
    --------
    >>> data = Interactions(users=np.array([0, 0, 0]), items=np.array([0, 1, 2]),
    ...     seconds=np.array([0, 1, 2]), ratios=np.full(3, 255, np.uint8),
    ...     columns=("user", "item", "time"), artists=np.array([0, 0, 1]))
    >>> sorted(Catalogue(data, whole_artists=True).meet(0))  # both tracks of the first artist
    [0, 1]
    >>> Catalogue(data).meet(0)
    [0]
    """

    def __init__(self, data: Interactions, *, whole_artists: bool = False) -> None:
        self._data = data
        items = int(data.items.max(initial=-1)) + 1
        self.known: npt.NDArray[np.bool_] = np.zeros(items, np.bool_)
        self.artist_of: npt.NDArray[np.int64] = np.full(items, -1, np.int64)
        self._order = np.zeros(0, np.int64)
        self._bounds = np.zeros(0, np.int64)
        if data.artists is None:
            return
        self.artist_of[data.items] = data.artists
        if whole_artists:
            mixed = (np.arange(items, dtype=np.uint64) * _SHUFFLE) >> np.uint64(32)
            self._order = np.lexsort((mixed, self.artist_of))
            artists = int(data.artists.max(initial=-1)) + 1
            sorted_artists = self.artist_of[self._order]
            self._bounds = np.searchsorted(sorted_artists, np.arange(artists + 1))

    def meet(self, k: int) -> list[int]:
        """Return the items that become known with play ``k``, in their order of registration."""
        item = int(self._data.items[k])
        if self.known[item]:
            return []
        artist = int(self.artist_of[item])
        if artist >= 0 and len(self._bounds):
            part = self._order[self._bounds[artist] : self._bounds[artist + 1]]
            found: list[int] = part.tolist()
        else:
            found = [item]
        self.known[found] = True
        return found

    def register(self, model: Recommender, k: int) -> None:
        """Register with a model what becomes known with play ``k``."""
        for item in self.meet(k):
            if self.artist_of[item] >= 0:
                model.register_track(item + 1, artist_key=int(self.artist_of[item]) + 1)
