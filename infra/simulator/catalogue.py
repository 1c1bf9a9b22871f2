"""The catalogue of the simulated world, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from contracts.ids import normalise
from infra.simulator import names

#: Genre -> median length of a track in seconds. Neighbours in this ring share listeners.
GENRES: dict[str, int] = {
    "ambient": 330, "downtempo": 270, "electronic": 260, "house": 320, "hip hop": 200,
    "soul": 225, "jazz": 290, "blues": 245, "folk": 215, "country": 205, "rock": 230,
    "metal": 275, "punk": 150, "indie": 225, "pop": 200, "classical": 380,
}  # fmt: skip
ARTISTS_PER_GENRE = 75
#: How likely a track follows another: its three successors, in order.
SUCCESSORS = (0.6, 0.25, 0.15)


@dataclass(frozen=True, slots=True)
class Track:
    """One track; `index` is its place in :attr:`Catalogue.tracks`."""

    index: int
    artist: str
    title: str
    album: str
    genre: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All tracks.

    Attributes
    ----------
    tracks
        By index.
    by_genre
        Indices of a genre's tracks, the most played first.
    weights
        Cumulative popularity of :attr:`by_genre`, for ``Random.choices``.
    by_artist
        Indices of an artist's tracks, in album order.
    successors
        For each track the three that people tend to play after it (:data:`SUCCESSORS`).
    """

    tracks: list[Track]
    by_genre: dict[str, list[int]]
    weights: dict[str, list[float]]
    by_artist: dict[str, list[int]]
    successors: list[tuple[int, int, int]]


def _distinct(make: Callable[[Random], str], rng: Random, taken: set[str]) -> str:
    while True:
        name = make(rng)
        if (key := normalise(name)) not in taken:
            taken.add(key)
            return name


def build(seed: int) -> Catalogue:
    """Make the catalogue of a seed: 16 genres, 1,200 artists, about 10,000 tracks."""
    rng = Random(f"catalogue:{seed}")  # noqa: S311  a simulation, not a secret
    tracks: list[Track] = []
    by_genre: dict[str, list[int]] = {}
    weights: dict[str, list[float]] = {}
    by_artist: dict[str, list[int]] = {}
    taken: set[str] = set()
    for genre, median in GENRES.items():
        popularity: dict[int, float] = {}
        for rank in range(ARTISTS_PER_GENRE):
            artist = _distinct(names.artist, rng, taken)
            fame = 1.0 / (rank + 2) ** 0.9
            for track in _discography(artist, genre, median, rng, len(tracks)):
                tracks.append(track)
                by_artist.setdefault(artist, []).append(track.index)
                popularity[track.index] = fame * rng.lognormvariate(0.0, 0.8)
        by_genre[genre] = sorted(popularity, key=popularity.__getitem__, reverse=True)
        weights[genre] = list(accumulate(popularity[i] for i in by_genre[genre]))
    successors = [_successors(t, by_genre, weights, by_artist, rng) for t in tracks]
    return Catalogue(tracks, by_genre, weights, by_artist, successors)


def _discography(artist: str, genre: str, median: int, rng: Random, first: int) -> list[Track]:
    titles: set[str] = set()
    tracks: list[Track] = []
    for _ in range(rng.randint(1, 2)):
        album = names.title(rng)
        for _ in range(rng.randint(3, 8)):
            seconds = min(900.0, max(60.0, rng.lognormvariate(0.0, 0.25) * median))
            title = _distinct(names.title, rng, titles)
            index = first + len(tracks)
            tracks.append(Track(index, artist, title, album, genre, round(seconds) * 1000))
    return tracks


def _successors(
    track: Track,
    by_genre: dict[str, list[int]],
    weights: dict[str, list[float]],
    by_artist: dict[str, list[int]],
    rng: Random,
) -> tuple[int, int, int]:
    """The next track of the discography, and two tracks of the genre."""
    own = by_artist[track.artist]
    following = own[(own.index(track.index) + 1) % len(own)]
    others: list[int] = []
    while len(others) < 2:
        (choice,) = rng.choices(by_genre[track.genre], cum_weights=weights[track.genre])
        if choice not in (track.index, following, *others):
            others.append(choice)
    order = [others[0], following, others[1]]
    return order[0], order[1], order[2]
