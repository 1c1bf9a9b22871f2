"""The content view: from each track to tracks of its artist and of artists like it.

It goes to the online ranker in the form of the batch view (:mod:`contracts.batch_view`), with a
description of every track, so that one nobody has played yet can be recommended. The weight of a
track is ``artist likeness * (0.6 + 0.3 closeness of sound + 0.1 popularity)``; closeness is
``1 / (1 + mean squared difference)`` of the audio features in standard deviations, and its mean
where a sound is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import psycopg

from batch.content.build import table_path
from batch.content.neighbours import ContentNeighbours
from contracts import batch_view
from contracts.batch_view import BatchView, Descriptions, Manifest
from contracts.errors import IncompatibleState
from contracts.home import HomePaths
from contracts.ids import artist_key, id_key, track_id, track_key

#: Tracks a view describes: the model has room for so many besides those that are played.
MOST = 40_000
#: ContentNeighbours of a track: as many as the model keeps.
SLOTS = 32
#: Artists a track leads to (its own first), candidates of each, and how many of them are kept.
_ARTISTS, _CANDIDATES, _KEPT = 12, 12, 4
_FEATURES = ("danceability", "energy", "acousticness", "instrumentalness", "valence")
_BLOCK = 2_000
_KEEP = 3

_TRACKS = f"""
    select artist, title, recording_mbid::text, isrc, spotify_id, popularity, {", ".join(_FEATURES)}
    from catalogue_track_cards order by popularity desc, track_id limit {MOST}
"""  # noqa: S608  the columns are ours

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Published(msgspec.Struct):
    """The view in service; ``changed`` where this run made it."""

    generation: int
    tracks: int
    with_neighbours: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Tracks:
    """Tracks in the order of their artists, the best known of each first.

    Attributes
    ----------
    artist
        Row of the artist in the table of artists, -1 where it is not there; shape ``(n,)``.
    sound
        Audio features in standard deviations, NaN unknown; shape ``(n, features)``.
    popularity
        0 .. 1, shape ``(n,)``.
    """

    artist: Ints
    sound: Floats
    popularity: Floats


def publish(connection: psycopg.Connection[Any], home: Path) -> Published | None:
    """Write the view of the catalogue and put it into service, unless it equals the current one.

    Returns
    -------
    Published or None
        ``None``: there is no content table yet, or no track.
    """
    if not table_path(home).exists():
        return None
    artists = ContentNeighbours.load(table_path(home))
    rows = connection.execute(_TRACKS.encode()).fetchall()
    if not rows:
        return None
    folder = HomePaths(home).content_view
    service = batch_view.current(folder)
    generation = max(batch_view.generations(folder), default=0) + 1
    view = _view(rows, artists, generation)
    told = int((view.neighbours[:, 0] >= 0).sum())
    if service is not None and _same(folder, service, view):
        return Published(service, len(view.keys), told, False)
    batch_view.write(folder, view)
    batch_view.promote(folder, generation)
    batch_view.prune(folder, _KEEP)
    return Published(generation, len(view.keys), told, True)


def _same(folder: Path, generation: int, view: BatchView) -> bool:
    try:
        held = batch_view.read(folder, generation)
    except IncompatibleState:
        return False
    assert view.descriptions is not None
    return (
        np.array_equal(held.keys, view.keys)
        and np.array_equal(held.neighbours, view.neighbours)
        and np.array_equal(held.weights, view.weights)
        and held.descriptions is not None
        and held.descriptions.documents == view.descriptions.documents
    )


def _view(rows: list[tuple[Any, ...]], artists: ContentNeighbours, generation: int) -> BatchView:
    keys = np.array([track_key(row[0], row[1]) for row in rows], np.uint64)
    keys, first = np.unique(keys, return_index=True)
    found = [rows[n] for n in first.tolist()]
    of_artist = np.array([artist_key(row[0]) for row in found], np.uint64)
    order = np.argsort(artists.keys, kind="stable")
    at = np.minimum(np.searchsorted(artists.keys, of_artist, sorter=order), len(order) - 1)
    place = np.where(artists.keys[order[at]] == of_artist, order[at], -1)
    sound = np.array([row[6:] for row in found], np.float32)  # None becomes NaN
    scale = np.ma.masked_invalid(sound).std(axis=0).filled(1.0).astype(np.float32)
    popularity = np.array([row[5] for row in found], np.float32)
    # By artist, the best known first: an artist's tracks lie side by side.
    grouped = np.lexsort((-popularity, place))
    tracks = Tracks(place[grouped], (sound / np.maximum(scale, 1e-6))[grouped], popularity[grouped])
    targets, weights = neighbours(tracks, artists)
    # Back into the order of the keys, targets too.
    back = np.argsort(grouped, kind="stable")
    targets = np.where(targets >= 0, grouped[np.maximum(targets, 0)], -1)[back].astype(np.int32)
    documents, ids = [], []
    for artist, title, mbid, isrc, spotify, *_ in found:
        uri = f"spotify:track:{spotify}" if spotify else None
        public = track_id(artist, title, recording_mbid=mbid, isrc=isrc, spotify_uri=uri)
        ids.append(id_key(public))
        documents.append(
            msgspec.json.encode({"track_id": public, "artist": artist, "title": title})
        )
    manifest = Manifest(
        generation=generation,
        algorithm="content: artists' tags, sound",
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        lake_version=None,
        plays_until=0,
        listeners=0,
        tracks=len(keys),
        metrics={},
    )
    described = Descriptions(np.array(ids, np.uint64), of_artist, documents)
    return BatchView(keys, targets, weights[back], manifest, described)


def neighbours(tracks: Tracks, artists: ContentNeighbours) -> tuple[npt.NDArray[np.int32], Floats]:
    """Return neighbours (-1 for none) and weights, falling, each of shape ``(n, SLOTS)``.

    A track leads to :data:`_KEPT` tracks of each near artist: of half of the candidates the best
    known, of half a turn through all the others. Each track leads to the next one of its artist,
    so there is a way to every track of an artist with two or more.
    """
    n = len(tracks.artist)
    begin = np.searchsorted(tracks.artist, np.arange(len(artists.keys)))
    count = np.searchsorted(tracks.artist, np.arange(len(artists.keys)), "right") - begin
    targets = np.full((n, SLOTS), -1, np.int32)
    weights = np.zeros((n, SLOTS), np.float32)
    half = _CANDIDATES // 2
    for start in range(int(np.searchsorted(tracks.artist, 0)), n, _BLOCK):
        rows = np.arange(start, min(n, start + _BLOCK))
        own = tracks.artist[rows]
        near = np.full((len(rows), _ARTISTS), -1)
        like = np.zeros((len(rows), _ARTISTS), np.float32)
        others = min(_ARTISTS - 1, artists.items.shape[1])  # a small catalogue has fewer
        near[:, 0], near[:, 1 : others + 1] = own, artists.items[own, :others]
        like[:, 0], like[:, 1 : others + 1] = 1.0, artists.scores[own, :others]
        total = np.where(near >= 0, count[near], 0)[:, :, None]
        turn = (rows[:, None, None] * half + np.arange(half)) % np.maximum(total - half, 1) + half
        best = np.broadcast_to(np.arange(half), turn.shape)
        offset = np.concatenate([best, turn], axis=2)
        there = offset < total
        # A turn through fewer tracks than candidates comes round: what comes twice counts once.
        there[:, :, half:] &= np.arange(half) < np.maximum(total - half, 0)
        candidate = np.where(there, begin[near][:, :, None] + offset, 0)
        there &= candidate != rows[:, None, None]
        score = like[:, :, None] * (
            0.6
            + 0.3 * _closeness(tracks.sound, rows, candidate)
            + 0.1 * tracks.popularity[candidate]
        )
        score = np.where(there & (like[:, :, None] > 0), score, 0.0)
        kept = np.argpartition(-score, _KEPT - 1, axis=2)[:, :, :_KEPT]
        score = np.take_along_axis(score, kept, 2).reshape(len(rows), -1)
        candidate = np.take_along_axis(candidate, kept, 2).reshape(len(rows), -1)
        order = np.argsort(-score, axis=1, kind="stable")[:, :SLOTS]
        score = np.take_along_axis(score, order, 1)
        targets[rows] = np.where(score > 0, np.take_along_axis(candidate, order, 1), -1)
        weights[rows] = score
        after = begin[own] + (rows - begin[own] + 1) % count[own]
        _lead_to(targets, weights, rows, np.where(after == rows, -1, after))
    return targets, weights


def _lead_to(targets: npt.NDArray[np.int32], weights: Floats, rows: Ints, wanted: Ints) -> None:
    """Give each row a track it must lead to (-1: none), at the end, unless it leads there."""
    lack = (wanted >= 0) & ~(targets[rows] == wanted[:, None]).any(axis=1)
    rows, wanted = rows[lack], wanted[lack]
    slot = np.minimum((targets[rows] >= 0).sum(axis=1), SLOTS - 1)
    before = np.where(slot > 0, weights[rows, np.maximum(slot - 1, 0)], 0.6)
    targets[rows, slot] = wanted
    weights[rows, slot] = np.where(weights[rows, slot] > 0, weights[rows, slot], before)


def _closeness(sound: Floats, rows: Ints, candidate: Ints) -> Floats:
    """Return 0 .. 1, the mean of what is known where nothing is; shape of `candidate`."""
    far = np.square(sound[candidate] - sound[rows][:, None, None, :])
    known = ~np.isnan(far)
    apart = np.where(known, far, 0).sum(axis=3) / np.maximum(known.sum(axis=3), 1)
    close: Floats = np.where(known.any(axis=3), 1 / (1 + apart), 0.5).astype(np.float32)
    return close
