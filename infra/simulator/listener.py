"""One simulated listener: tastes, favourites, sessions, skips, and what they take from lists."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from infra.simulator.catalogue import GENRES, SUCCESSORS, Catalogue
from infra.simulator.lists import Offered

#: How the next track of a session is chosen (sums to 1).
FOLLOW, SAME_ARTIST, FAVOURITE, REPEAT, EXPLORE = 0.45, 0.13, 0.17, 0.05, 0.20
#: How likely a track is skipped: one the listener loves, one of their genres, any other.
SKIP_FAVOURITE, SKIP_LIKED, SKIP_OTHER = 0.04, 0.18, 0.50
#: Mean plays of a session, and seconds between two sessions.
SESSION_PLAYS = 12
SESSION_GAP = 20 * 60
FAVOURITES = 20
#: How often a listener asks for a list before the next track, where there are lists.
ASK = 0.25
#: How likely a listener takes a track of a list when they look at it: one they love, one of their
#: genres, any other. They look from the top and take the first.
TAKE_FAVOURITE, TAKE_LIKED, TAKE_OTHER = 0.35, 0.12, 0.02

_GENRES = list(GENRES)


@dataclass(frozen=True, slots=True)
class Heard:
    """One play of a simulated listener; times in milliseconds since the epoch, UTC."""

    user: str
    track: int
    played_at: int
    ms_played: int
    skipped: bool
    impression: str | None = None


class Listener:
    """A listener whose tastes depend on seed and number only.

    Parameters
    ----------
    seed, number
        Make the same person again.
    catalogue
        What there is to hear.

    Attributes
    ----------
    eagerness
        How much likelier than usual the listener takes a track of a list.
    """

    __slots__ = ("_catalogue", "_current", "_left", "eagerness", "favourites", "likes", "user")

    def __init__(self, seed: int, number: int, catalogue: Catalogue) -> None:
        rng = Random(f"listener:{seed}:{number}")  # noqa: S311
        self.user = f"sim-{number:05d}"
        self._catalogue = catalogue
        home = rng.randrange(len(_GENRES))
        # Three genres, mostly neighbours in the ring: tastes cluster as people's do.
        near = (home + rng.choice((-1, 1))) % len(_GENRES)
        self.likes = [_GENRES[home], _GENRES[near], rng.choice(_GENRES)]
        self.favourites = [self._explore(rng) for _ in range(FAVOURITES)]
        self.eagerness = 1.0
        self._current: int | None = None
        self._left = 0

    def _explore(self, rng: Random) -> int:
        (genre,) = rng.choices(self.likes, (0.6, 0.3, 0.1))
        (track,) = rng.choices(
            self._catalogue.by_genre[genre], cum_weights=self._catalogue.weights[genre]
        )
        return track

    def _next_track(self, rng: Random) -> int:
        current = self._current
        if current is None:
            return rng.choice(self.favourites) if rng.random() < 0.5 else self._explore(rng)
        (how,) = rng.choices(
            (FOLLOW, SAME_ARTIST, FAVOURITE, REPEAT, EXPLORE),
            (FOLLOW, SAME_ARTIST, FAVOURITE, REPEAT, EXPLORE),
        )
        if how == FOLLOW:
            return rng.choices(self._catalogue.successors[current], SUCCESSORS)[0]
        if how == SAME_ARTIST:
            return rng.choice(self._catalogue.by_artist[self._catalogue.tracks[current].artist])
        if how == FAVOURITE:
            return rng.choice(self.favourites)
        return current if how == REPEAT else self._explore(rng)

    def stay(self) -> None:
        """Begin a session that does not end."""
        self._left = sys.maxsize

    def _taken(self, offered: Offered, rng: Random) -> int | None:
        """Return the first track of a list that the listener takes."""
        for index in offered.tracks:
            if index in self.favourites:
                chance = TAKE_FAVOURITE
            else:
                genre = self._catalogue.tracks[index].genre
                chance = TAKE_LIKED if genre in self.likes else TAKE_OTHER
            if rng.random() < chance * self.eagerness:
                return index
        return None

    def listen(
        self, now: int, rng: Random, lists: Callable[[str], Offered | None] | None = None
    ) -> tuple[Heard, int]:
        """Play one track from `now`.

        Parameters
        ----------
        lists
            Returns a list for a listener; ``None``: the listener always chooses.

        Returns
        -------
        tuple
            The play, which ends at ``played_at + ms_played``, and when the next one starts.
        """
        if self._left <= 0:
            self._current = None
            self._left = 1 + int(rng.expovariate(1 / (SESSION_PLAYS - 0.5)))
        offered = lists(self.user) if lists is not None and rng.random() < ASK else None
        taken = None if offered is None else self._taken(offered, rng)
        index = self._next_track(rng) if taken is None else taken
        impression = offered.impression if offered is not None and taken is not None else None
        track = self._catalogue.tracks[index]
        if index in self.favourites:
            chance = SKIP_FAVOURITE
        else:
            chance = SKIP_LIKED if track.genre in self.likes else SKIP_OTHER
        skipped = rng.random() < chance
        share = rng.betavariate(1.2, 5.0) if skipped else 1.0
        ms_played = max(1000, int(track.duration_ms * share))
        heard = Heard(self.user, index, now, ms_played, skipped, impression)
        # After a skip the session continues from the track before: a dislike leads nowhere.
        if not skipped or self._current is None:
            self._current = index
        self._left -= 1
        pause = 1000 if self._left > 0 else int(1000 * rng.expovariate(1 / SESSION_GAP))
        return heard, now + ms_played + max(1000, pause)
