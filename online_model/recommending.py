"""A model that is asked: lists for a listener, for many, for nobody in particular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from online_model.config import ModelConfig
from online_model.diversity import spread
from online_model.explaining import Reason, explain_slots
from online_model.exploration import IN_LINE
from online_model.exploration import explore as draw_places
from online_model.features import FEATURES
from online_model.health import health
from online_model.many import Lists, rank_blobs
from online_model.model import Keys, Model, as_keys
from online_model.ranking import Ranking
from online_model.serving import serve
from online_model.similar import similar_tracks, trending_tracks
from online_model.state import Array, State

_NO_KEYS = np.zeros(0, np.uint64)
_MOST_ROOMS = 64


class RecommendingModel(Model):
    """Makes lists; nothing here changes the arrays."""

    def adopt(self, config: ModelConfig, state: State) -> None:
        """Go on with other arrays, as a reader does when a new live file is published."""
        super().adopt(config, state)
        self._rooms: dict[tuple[int, int], tuple[Array, Array, Array, Array, Array]] = {}

    def recommend(
        self,
        tracks: Keys,
        seconds: Sequence[int] | npt.NDArray[np.int64],
        ratios: Sequence[int] | npt.NDArray[np.uint8],
        *,
        now: int,
        k: int = 20,
        discover: bool = False,
        hidden: Keys = (),
        seed: int | None = None,
        artist_cap: int | None = None,
        just_played: int = 1,
        diversity: float = 0.0,
        explore: float = 0.0,
        draw: int = 0,
        explain: bool = False,
    ) -> Ranking:
        """Recommend for a window of plays that the caller holds; no state changes.

        Parameters
        ----------
        tracks, seconds, ratios
            The listener's plays, oldest first: keys, seconds since the epoch, per cent or 255.
        now
            The second for which to recommend.
        k
            Most tracks to return.
        discover
            Leave out every track of the window.
        hidden
            Keys of tracks never to show.
        seed
            Key of a track to go on from, as if it had just been played.
        artist_cap
            Most tracks of one artist; None for no limit.
        just_played
            Leave out the newest plays of the window, this many.
        diversity
            0 ranks by score alone; up to 1 more and more of the list goes to tracks unlike those
            above them (:mod:`online_model.diversity`).
        explore, draw
            Probability with which a place shows a track from further down, and the seed of the
            draws; the chances are in ``Ranking.propensities``.
        explain
            Fill ``Ranking.reasons``.
        """
        t, s = as_keys(tracks), np.ascontiguousarray(seconds, np.int64)
        r = np.ascontiguousarray(ratios, np.uint8)
        if seed is not None:
            t = np.append(t, np.uint64(seed))
            s = np.append(s, np.int64(now))
            r = np.append(r, np.uint8(255))
        cap = artist_cap or 0
        length = k + IN_LINE if explore > 0.0 else k
        if diversity > 0.0:
            length = max(length, 3 * k + 20)
        pool, slots, indices, scores, features = self._room(length, cap)
        n, known = serve(
            self._reading,
            self._scratch,
            t,
            s,
            r,
            int(now),
            int(discover),
            as_keys(hidden) if len(hidden) else _NO_KEYS,
            just_played,
            cap,
            pool,
            slots,
            indices,
            scores,
            features,
        )
        at, propensities = draw_places(n, k, explore, draw)
        if diversity > 0.0:
            at = spread(self._state, indices[:n], scores[:n], k, diversity)[at]
        reasons: tuple[tuple[Reason, ...], ...] = ()
        if explain:
            reasons = tuple(explain_slots(self._state, self._scratch, int(discover), slots[at]))
        return Ranking(
            indices=indices[at],
            scores=scores[at],
            features=features[at],
            propensities=propensities,
            stranger=known == 0,
            reasons=reasons,
        )

    def recommend_blobs(
        self,
        blobs: Sequence[bytes],
        *,
        now: int,
        lengths: Sequence[int],
        discover: Sequence[bool],
    ) -> Lists:
        """Recommend for many listeners at once; each list is the one :meth:`recommend` makes.

        Parameters
        ----------
        blobs
            What the feature store holds of each, sound (:func:`contracts.features.check`).
        lengths
            Most tracks of each list.
        discover
            For each, whether to leave out every track of the window.
        """
        return rank_blobs(self._reading, self._scratch, blobs, lengths, discover, int(now))

    def _room(self, k: int, cap: int) -> tuple[Array, Array, Array, Array, Array]:
        size = k if cap == 0 else 8 * k + 32
        found = self._rooms.get((k, size))
        if found is None:
            found = (
                np.zeros(size, np.int64),
                np.zeros(k, np.int64),
                np.zeros(k, np.int32),
                np.zeros(k, np.float32),
                np.zeros((k, FEATURES), np.float32),
            )
            if len(self._rooms) < _MOST_ROOMS:
                self._rooms[k, size] = found
        return found

    def health(self, *, drift: bool = True) -> dict[str, Any]:
        """Return how good the lists have been lately, by the learner's own trials."""
        return health(self._state, drift=drift)

    def similar(self, key: int, k: int = 20) -> list[tuple[int, float]]:
        """Return rows and strengths of the tracks most shared by session and listener."""
        row = int(self.lookup(np.array([key], np.uint64))[0])
        return similar_tracks(self._state, row, k) if row >= 0 else []

    def trending(self, now: int, k: int = 20) -> list[tuple[int, float]]:
        """Return rows and scores of the tracks most played lately, against their usual."""
        return trending_tracks(self._state, now, k)
