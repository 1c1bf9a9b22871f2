"""What a collector would have found out about the invented catalogue: tags, features, fame."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

from batch.staging.tables import ARTISTS, TAGS, TRACKS, Row, Table
from contracts.ids import normalise
from infra.simulator.catalogue import GENRES, Catalogue

SOURCE = "simulated"
#: The invented world has one moment of observation, so that the same seed gives the same rows.
AT = datetime(2026, 1, 1, tzinfo=UTC)
#: Genre -> energy, valence, danceability, acousticness, instrumentalness (0 .. 1), tempo (BPM).
_SOUND: dict[str, tuple[float, float, float, float, float, float]] = {
    "ambient": (0.15, 0.30, 0.25, 0.80, 0.90, 80.0),
    "downtempo": (0.40, 0.40, 0.60, 0.40, 0.60, 95.0),
    "electronic": (0.75, 0.50, 0.70, 0.10, 0.60, 122.0),
    "house": (0.80, 0.65, 0.85, 0.05, 0.55, 124.0),
    "hip hop": (0.65, 0.55, 0.80, 0.15, 0.05, 92.0),
    "soul": (0.50, 0.65, 0.65, 0.45, 0.05, 100.0),
    "jazz": (0.35, 0.50, 0.50, 0.80, 0.45, 115.0),
    "blues": (0.45, 0.45, 0.50, 0.60, 0.15, 105.0),
    "folk": (0.30, 0.45, 0.45, 0.85, 0.10, 110.0),
    "country": (0.60, 0.65, 0.58, 0.40, 0.03, 118.0),
    "rock": (0.75, 0.50, 0.50, 0.12, 0.10, 125.0),
    "metal": (0.93, 0.25, 0.40, 0.03, 0.25, 132.0),
    "punk": (0.92, 0.60, 0.45, 0.05, 0.05, 165.0),
    "indie": (0.60, 0.50, 0.55, 0.30, 0.15, 120.0),
    "pop": (0.68, 0.68, 0.70, 0.20, 0.02, 116.0),
    "classical": (0.18, 0.25, 0.25, 0.95, 0.88, 100.0),
}
_NAMES = ("energy", "valence", "danceability", "acousticness", "instrumentalness")
_RING = list(GENRES)
_EARLIEST, _LATEST = 1962, 2025


def facts(catalogue: Catalogue, seed: int) -> Iterator[tuple[Table, Row]]:
    """Yield staging rows of every artist and track, with tags, the same for the same seed."""
    rng = Random(f"facts:{seed}")  # noqa: S311  a simulation, not a secret
    heard = _listeners(catalogue)
    for artist, indices in catalogue.by_artist.items():
        key = normalise(artist)
        genre = catalogue.tracks[indices[0]].genre
        total = sum(heard[index] for index in indices)
        yield ARTISTS, ARTISTS.row(
            source=SOURCE, source_key=key, name=artist, observed_at=AT,
            listeners=round(0.6 * total), playcount=4 * total,
        )  # fmt: skip
        begun = rng.randint(_EARLIEST, _LATEST - 3)
        own = [min(0.98, max(0.02, rng.gauss(mean, 0.06))) for mean in _SOUND[genre][:5]]
        tags = {genre: 100, **_near(genre, rng), f"{begun // 10 * 10}s": 35, **_moods(own)}
        for tag, weight in tags.items():
            yield _tag("artist", key, tag, weight)
        years: dict[str, int] = {}
        for index in indices:
            track = catalogue.tracks[index]
            if track.album not in years:
                years[track.album] = min(_LATEST, begun + rng.randint(0, 4) + 4 * len(years))
            place = f"{key}\x1f{normalise(track.title)}"
            sound = [round(min(1.0, max(0.0, rng.gauss(mean, 0.08))), 3) for mean in own]
            yield TRACKS, TRACKS.row(
                source=SOURCE, source_key=place, artist=artist, title=track.title,
                album=track.album, duration_ms=track.duration_ms, year=years[track.album],
                listeners=heard[index], tempo=round(rng.gauss(_SOUND[genre][5], 8.0), 1),
                observed_at=AT, **dict(zip(_NAMES, sound, strict=True)),
            )  # fmt: skip
            for tag, weight in {genre: 100, **_moods(sound)}.items():
                yield _tag("track", place, tag, weight)


def _listeners(catalogue: Catalogue) -> list[int]:
    """Return how many people know each track: its share of the genre, scaled."""
    heard = [0] * len(catalogue.tracks)
    for genre, indices in catalogue.by_genre.items():
        cumulative = catalogue.weights[genre]
        shares = [cumulative[0], *(after - before for before, after in pairwise(cumulative))]
        for index, share in zip(indices, shares, strict=True):
            heard[index] = 1 + round(400_000 * share / cumulative[-1])
    return heard


def _near(genre: str, rng: Random) -> dict[str, int]:
    """Return a neighbouring genre, for most artists: tags of people overlap."""
    if rng.random() < 0.3:
        return {}
    other = _RING[(_RING.index(genre) + rng.choice((-1, 1))) % len(_RING)]
    return {other: rng.randint(10, 60)}


def _moods(sound: list[float]) -> dict[str, int]:
    energy, valence, dance, acoustic, instrumental = sound
    said = {
        "happy": valence > 0.62 and energy > 0.5,
        "melancholic": valence < 0.33 and energy < 0.55,
        "chillout": energy < 0.42 and acoustic > 0.35,
        "energetic": energy > 0.82,
        "party": dance > 0.75 and energy > 0.6,
        "dark": valence < 0.33 and energy > 0.7,
        "instrumental": instrumental > 0.7,
    }
    return {tag: 40 for tag, true in said.items() if true}


def _tag(kind: str, key: str, tag: str, weight: int) -> tuple[Table, Row]:
    return TAGS, TAGS.row(
        source=SOURCE, kind=kind, source_key=key, tag=tag, weight=weight, observed_at=AT
    )
