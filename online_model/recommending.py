"""A model that is asked: lists for a listener, for many, for nobody in particular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from online_model.config import ModelConfig
from online_model.diversity import spread
from online_model.explaining import Reason, explain_slots
from online_model.exploration import IN_LINE, explored
from online_model.exploration import explore as draw_places
from online_model.health import health
from online_model.many import Lists, rank_blobs
from online_model.model import Model
from online_model.ranking import Ranking
from online_model.scratch import find_slot
from online_model.serving import EXCLUDED, ListRoom, Wanted, Window, new_room, serve
from online_model.similar import similar_tracks, trending_tracks
from online_model.state import State
from online_model.tracks import Keys, as_keys

_NO_KEYS = np.zeros(0, np.uint64)
_MOST_ROOMS = 64


class Explained(NamedTuple):
    """One track of a list, explained.

    Attributes
    ----------
    score
        Logit of the ranker, to which the contributions of the reasons add up.
    reasons
        What put the track there, the greatest contribution first, ``other`` last.
    stranger
        No play of the window is known to the model.
    """

    score: float
    reasons: tuple[Reason, ...]
    stranger: bool


class RecommendingModel(Model):
    """Makes lists; nothing here changes the arrays."""

    def adopt(self, config: ModelConfig, state: State) -> None:
        """Switch to other arrays, as a reader does when a new live file is published."""
        super().adopt(config, state)
        self._rooms: dict[tuple[int, int], ListRoom] = {}

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
            Key of a track from which the list continues, as if it had just been played.
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

        Examples
        --------
        Track 11 followed track 10 twice, so it comes first for a listener who just played 10:

        >>> from online_model import Recommender
        >>> model = Recommender(ModelConfig(tracks=100, listeners=100))
        >>> stats = model.learn_plays(
        ...     np.array([1, 1, 2, 2, 2], np.uint64), np.array([10, 11, 10, 11, 12], np.uint64),
        ...     np.array([1000, 1200, 1300, 1500, 1700]), np.full(5, 255, np.uint8))
        >>> ranking = model.recommend([10], [2000], [255], now=2100, explain=True)
        >>> ranking.indices.tolist() == model.lookup([11, 12]).tolist()  # 10 was just played
        True
        >>> {"next", "session"} <= {reason.source for reason in ranking.reasons[0]}
        True
        """
        length = k + IN_LINE if explore > 0.0 else k
        if diversity > 0.0:
            length = max(length, 3 * k + 20)
        window = _window(tracks, seconds, ratios)
        if seed is not None:
            window = _followed_by(window, seed, now)
        unwanted = as_keys(hidden) if len(hidden) else _NO_KEYS
        wanted = Wanted(int(now), int(discover), unwanted, just_played, artist_cap or 0)
        n, known, (_, slots, indices, scores, features) = self._serve(window, wanted, length)
        at, propensities = draw_places(n, k, explore, draw)
        drawn = explored(at)
        if diversity > 0.0:
            at = spread(self._state, indices[:n], scores[:n], k, diversity)[at]
        reasons: tuple[tuple[Reason, ...], ...] = ()
        if explain:
            reasons = tuple(
                explain_slots(self._reading, self._scratch, int(discover), slots[at], int(now))
            )
        return Ranking(
            indices=indices[at],
            scores=scores[at],
            features=features[at],
            propensities=propensities,
            stranger=known == 0,
            explored=drawn,
            reasons=reasons,
        )

    def explain(
        self,
        tracks: Keys,
        seconds: Sequence[int] | npt.NDArray[np.int64],
        ratios: Sequence[int] | npt.NDArray[np.uint8],
        *,
        now: int,
        index: int,
        discover: bool = False,
    ) -> Explained | None:
        """Explain the place of one track in the list of a window; no state changes.

        The track may be one that the list leaves out because it is hidden or was just played.

        Parameters
        ----------
        tracks, seconds, ratios, now, discover
            As in :meth:`recommend`.
        index
            Row of the track.

        Returns
        -------
        Explained or None
            ``None`` where no source proposes the track for this list.

        Examples
        --------
        >>> from online_model import Recommender
        >>> model = Recommender(ModelConfig(tracks=100, listeners=100))
        >>> stats = model.learn_plays(np.array([1, 1], np.uint64), np.array([10, 11], np.uint64),
        ...                           np.array([1000, 1200]), np.full(2, 255, np.uint8))
        >>> found = model.explain([10], [2000], [255], now=2100, index=model.lookup([11])[0])
        >>> total = sum(reason.contribution for reason in found.reasons)
        >>> bool(np.isclose(total, found.score)), found.stranger
        (True, False)
        """
        task = int(discover)
        wanted = Wanted(int(now), task, _NO_KEYS, 0, 0)
        _, known, _ = self._serve(_window(tracks, seconds, ratios), wanted, 1)
        slot = find_slot(self._scratch.board, index)
        if slot < 0 or self._scratch.scores[task, slot] <= EXCLUDED:
            return None
        score = float(self._scratch.scores[task, slot])
        (reasons,) = explain_slots(self._reading, self._scratch, task, np.array([slot]), int(now))
        return Explained(score, reasons, known == 0)

    def _serve(self, window: Window, wanted: Wanted, length: int) -> tuple[int, int, ListRoom]:
        """Return the length of the list, the known plays and the room it is in."""
        room = self._room(length, wanted.artist_cap)
        n, known = serve(self._reading, self._scratch, window, wanted, room)
        return n, known, room

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

        Examples
        --------
        Two listeners of whom the feature store holds nothing get what is popular:

        >>> from contracts.features import EMPTY
        >>> from online_model import Recommender
        >>> model = Recommender(ModelConfig(tracks=100, listeners=100))
        >>> model.learn_one("ada", "intro")
        >>> lists = model.recommend_blobs([EMPTY, EMPTY], now=9, lengths=[5, 5],
        ...                               discover=[False, True])
        >>> lists.counts.tolist(), lists.known.tolist()
        ([1, 1], [0, 0])
        """
        return rank_blobs(self._reading, self._scratch, blobs, lengths, discover, int(now))

    def _room(self, k: int, cap: int) -> ListRoom:
        size = k if cap == 0 else 8 * k + 32
        found = self._rooms.get((k, size))
        if found is None:
            found = new_room(k, size)
            if len(self._rooms) < _MOST_ROOMS:
                self._rooms[k, size] = found
        return found

    def health(self, *, drift: bool = True) -> dict[str, Any]:
        """Return how good the lists have been lately, by the learner's own trials."""
        return health(self._state, drift=drift)

    def similar(self, key: int, k: int = 20) -> list[tuple[int, float]]:
        """Return rows and strengths of the tracks most shared by session and listener.

        Examples
        --------
        >>> from online_model import Recommender
        >>> model = Recommender(ModelConfig(tracks=100, listeners=100))
        >>> stats = model.learn_plays(np.array([1, 1], np.uint64), np.array([10, 11], np.uint64),
        ...                           np.array([1000, 1200]), np.full(2, 255, np.uint8))
        >>> [row for row, strength in model.similar(10)] == model.lookup([11]).tolist()
        True
        """
        row = int(self.lookup(np.array([key], np.uint64))[0])
        return similar_tracks(self._state, row, k) if row >= 0 else []

    def trending(self, now: int, k: int = 20) -> list[tuple[int, float]]:
        """Return rows and scores of the tracks most played lately, against their usual."""
        return trending_tracks(self._state, now, k)


def _window(
    tracks: Keys,
    seconds: Sequence[int] | npt.NDArray[np.int64],
    ratios: Sequence[int] | npt.NDArray[np.uint8],
) -> Window:
    """Return a window of plays in the types compiled code takes."""
    return Window(
        as_keys(tracks),
        np.ascontiguousarray(seconds, np.int64),
        np.ascontiguousarray(ratios, np.uint8),
    )


def _followed_by(window: Window, track: int, now: int) -> Window:
    """Return a window with one more play, of unknown length, as its newest."""
    tracks, seconds, ratios = window
    return Window(
        np.append(tracks, np.uint64(track)),
        np.append(seconds, np.int64(now)),
        np.append(ratios, np.uint8(255)),
    )
