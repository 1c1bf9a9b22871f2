"""Invented data in the files of the real data sets, which are not part of the repository.

It has what the models are meant to find: a listener keeps to a few scenes, has habits (one track
usually follows another), hears the artists that others of the scene hear, and tags them with genre
and scene. Every set comes from one seed, so tests can set floors on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

GENRES = (
    "rock", "pop", "electronic", "hip-hop", "jazz", "metal", "folk", "soul", "punk", "ambient",
)  # fmt: skip
SCENES = 12  # of each genre
ARTISTS = 1_200
TRACKS = 1_000
#: Artists of a scene; those of the first have the first numbers.
SCENE = ARTISTS // (len(GENRES) * SCENES)
_SYLLABLES = ("ka", "vo", "mi", "lun", "ter", "sha", "ro", "quin", "dee", "bal", "zo", "fen")

Ints = npt.NDArray[np.int64]


def write_all(folder: Path) -> None:
    """Write every file into a folder."""
    _write(folder, "30music_dev", plays())
    _write(folder, "ml100k_ratings", ratings())
    _write(folder, "msd10k_tracks", tracks())
    for name, table in hetrec().items():
        _write(folder, name, table)


def _write(folder: Path, name: str, columns: Mapping[str, Sequence[object] | Ints]) -> None:
    pq.write_table(pa.table(dict(columns)), folder / f"{name}.parquet")


def scene(artist: int) -> int:
    """Return the scene of an artist (from 0)."""
    return artist // SCENE


def genre(artist: int) -> str:
    """Return the genre of an artist."""
    return GENRES[scene(artist) // SCENES]


def name(artist: int) -> str:
    """Return the name of an artist; no two have the same."""
    parts = list(product(_SYLLABLES, repeat=3))[artist]
    return "".join(parts).capitalize()


def _falling(size: int, power: float = 1.0) -> npt.NDArray[np.float64]:
    """Return probabilities of things by rank: the first is the most popular."""
    weights = np.arange(1, size + 1) ** -power
    found: npt.NDArray[np.float64] = weights / weights.sum()
    return found


def plays(count: int = 8_000, users: int = 200, seed: int = 1) -> dict[str, Ints]:
    """Return listening sessions in the shape of 30Music: a scene each, in which habits repeat."""
    g = np.random.default_rng(seed)
    scenes, songs = 20, TRACKS // 20
    follows = g.integers(0, songs, (scenes, songs))  # what usually comes after a song
    likes = g.integers(0, scenes, (users, 2))
    popular = _falling(songs)
    numbers = g.permutation(TRACKS)  # the number of a song is arbitrary
    rows: list[tuple[int, int, int, int, int]] = []
    session = 0
    while len(rows) < count:
        user, session = int(g.integers(users)), session + 1
        place = likes[user, int(g.random() < 0.3)] if g.random() < 0.9 else g.integers(scenes)
        moment = 1_390_200_000 + session * 1_200 + int(g.integers(600))
        song = int(g.choice(songs, p=popular))
        for _ in range(int(g.integers(3, 20))):
            length = int(g.integers(60, 300))
            rows.append((moment, user + 1, session, int(numbers[place * songs + song]), length))
            moment += length
            usual = g.random() < 0.6
            song = int(follows[place, song]) if usual else int(g.choice(songs, p=popular))
    rows = sorted(rows)[:count]
    columns = np.array(rows, np.int64).T
    return dict(zip(("ts", "user_id", "session_id", "song_id", "playtime"), columns, strict=True))


def ratings(count: int = 8_000, users: int = 160, seed: int = 2) -> dict[str, Ints]:
    """Return ratings in the shape of MovieLens: nobody rates twice, likes go by groups of items."""
    g = np.random.default_rng(seed)
    groups, items = 12, 60
    popular = _falling(items)
    rows: list[tuple[int, int, int, int]] = []
    each = -(-count // users)
    for user in range(users):
        mine = g.choice(groups, 2, replace=False)
        seen: set[int] = set()
        moment = 875_000_000 + user * 40_000 + int(g.integers(1_000))
        while len(seen) < each:
            group = mine[int(g.random() < 0.4)] if g.random() < 0.85 else g.integers(groups)
            item = int(group * items + g.choice(items, p=popular))
            if item in seen:
                continue
            seen.add(item)
            moment += int(g.integers(5, 60))
            rows.append((user + 1, item + 1, int(g.integers(1, 6)), moment))
    rows = sorted(rows, key=lambda row: row[3])[:count]
    columns = np.array(rows, np.int64).T
    return dict(zip(("user_id", "item_id", "rating", "ts"), columns, strict=True))


def hetrec(users: int = 400, seed: int = 3) -> dict[str, dict[str, Sequence[object] | Ints]]:
    """Return listeners, artists and taggings in the shape of HetRec 2011 Last.fm-2k."""
    g = np.random.default_rng(seed)
    popular = _falling(SCENE, 0.3)
    n_scenes = len(GENRES) * SCENES
    tags = [*GENRES, *(f"scene {n}" for n in range(n_scenes)), *(f"mood {n}" for n in range(30))]
    listens: list[tuple[int, int, int]] = []
    given: list[tuple[int, int, int]] = []
    for user in range(1, users + 1):
        mine = g.choice(n_scenes, 2, replace=False)
        heard: set[int] = set()
        while len(heard) < 12:
            chance = g.random()
            if chance < 0.5:
                place = mine[int(g.random() < 0.4)]
            elif chance < 0.7:  # another scene of the same genre
                place = mine[0] // SCENES * SCENES + g.integers(SCENES)
            else:
                place = g.integers(n_scenes)
            heard.add(int(place * SCENE + g.choice(SCENE, p=popular)))
        for artist in sorted(heard):
            listens.append((user, artist + 1, int(g.integers(1, 2_000))))
            if g.random() < 0.5:
                given.append((user, artist + 1, GENRES.index(genre(artist)) + 1))
            if g.random() < 0.6:
                given.append((user, artist + 1, len(GENRES) + scene(artist) + 1))
            if g.random() < 0.2:
                given.append((user, artist + 1, int(g.integers(len(tags) - 30, len(tags))) + 1))
    of_listens, of_given = np.array(listens, np.int64).T, np.array(given, np.int64).T
    return {
        "hetrec_artists": {
            "artist_id": np.arange(1, ARTISTS + 1),
            "name": [name(artist) for artist in range(ARTISTS)],
        },
        "hetrec_tags": {"tag_id": np.arange(1, len(tags) + 1), "tag": tags},
        "hetrec_user_artists": dict(
            zip(("user_id", "artist_id", "weight"), of_listens, strict=True)
        ),
        "hetrec_user_taggedartists": dict(
            zip(("user_id", "artist_id", "tag_id"), of_given, strict=True)
        ),
    }


def tracks(seed: int = 4) -> dict[str, Sequence[object] | Ints]:
    """Return tracks in the shape of the Million Song subset: unknown years and tempos are 0."""
    g = np.random.default_rng(seed)
    artists = g.integers(0, ARTISTS, TRACKS)
    return {
        "track_id": [f"TR{n:016d}" for n in range(TRACKS)],
        "title": [f"{name(n % 1_700)} {n}" for n in range(TRACKS)],
        "artist_name": [name(int(artist)) for artist in artists],
        "release": [f"Album {n % 300}" if n % 11 else "" for n in range(TRACKS)],
        "year": np.where(g.random(TRACKS) < 0.5, 0, g.integers(1960, 2011, TRACKS)),
        "duration": g.uniform(60, 400, TRACKS).tolist(),
        "danceability": [0.0] * TRACKS,
        "energy": [0.0] * TRACKS,
        "key": g.integers(0, 12, TRACKS),
        "loudness": g.uniform(-30, 0, TRACKS).tolist(),
        "mode": g.integers(0, 2, TRACKS),
        "tempo": np.where(g.random(TRACKS) < 0.05, 0, g.uniform(60, 200, TRACKS)).tolist(),
    }
