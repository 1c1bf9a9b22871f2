"""What the model knows of an artist: its tracks, what follows it, and who shares its listeners.

An artist has a row while a track of it has one, so there are never more rows than tracks. Each row
holds the best known tracks in order, the tracks met last, and a bounded row of other artists
("kin") with a weight for being played right after and one for sharing sessions and listeners.
Weights decay forward like those of tracks. Nothing here names a listener.
"""

from __future__ import annotations

import numpy as np

from online_model._numba import compiled, inner
from online_model.hashing import find, insert, remove
from online_model.neighbours import strengthen_both
from online_model.rows import give_row, take_row
from online_model.scratch import Scratch, slot_in, stamped
from online_model.state import (
    A_NEXT,
    A_PLAYS,
    A_SELF,
    ARTISTS,
    FREE_ARTISTS,
    GAP,
    N_SESSION,
    Array,
    State,
)

_REACH = 20
"""Newest plays whose artists become kin of the artist played."""

_FADE = 0.2
_APART = 0.2  # weight of an artist of an earlier session, of one of this session


@compiled
def join_artist(state: State, row: int, key: np.uint64) -> None:
    """Make a track one of an artist's, who gets a row if need be.

    Parameters
    ----------
    row
        Row of a track without an artist.
    key
        The artist's key (:func:`contracts.ids.artist_key`).
    """
    artist = find(state.artist_keys, state.artist_rows, key)
    if artist < 0:
        artist = _new_artist(state, key)
    if artist < 0:
        return
    state.artist[row] = key
    state.track_artist[row] = artist + 1
    state.artist_size[artist] += 1
    width = state.newest_ids.shape[1]
    state.newest_ids[artist, state.artist_met[artist] % width] = row + 1
    state.artist_met[artist] += 1
    promote(state, artist, row)


@inner
def _new_artist(state: State, key: np.uint64) -> int:
    artist = take_row(state.counters, state.free_artists, FREE_ARTISTS, ARTISTS)
    if artist >= 0:
        state.artist_key[artist] = key
        insert(state.artist_keys, state.artist_rows, key, artist)
    return artist


@inner
def promote(state: State, artist: int, row: int) -> None:
    """Put a track in its place among the best known of its artist, by decayed plays."""
    ids, facts = state.known_ids, state.facts
    width = ids.shape[1]
    value = facts[row, N_SESSION]
    at = 0
    while at < width and ids[artist, at] != 0 and ids[artist, at] != row + 1:
        at += 1
    if at == width:
        if facts[ids[artist, width - 1] - 1, N_SESSION] >= value:
            return
        at = width - 1
    ids[artist, at] = row + 1
    while at > 0 and facts[ids[artist, at - 1] - 1, N_SESSION] < value:
        ids[artist, at] = ids[artist, at - 1]
        at -= 1
        ids[artist, at] = row + 1


@inner
def learn_artists(
    state: State, scratch: Scratch, plays: int, track: int, second: int, weight: float
) -> None:
    """Update a play's artist; call after the track's own plays were counted."""
    artist = state.track_artist[track] - 1
    if artist < 0:
        return
    promote(state, artist, track)
    state.artist_facts[artist, A_PLAYS] += weight
    gap = state.settings[GAP]
    board = scratch.board
    board.turn[0] += 1  # of no ranking: it marks the artists met on the way back
    turn = board.turn[0]
    later = second
    together = True
    for q in range(min(plays, _REACH)):
        k = plays - 1 - q
        row = scratch.tracks[k]
        together = together and later - scratch.seconds[k] < gap
        later = scratch.seconds[k]
        other = state.track_artist[row] - 1 if row >= 0 else -1
        if other < 0:
            continue
        follows = 0.0
        if q == 0 and together:
            follows = weight
            state.artist_facts[other, A_NEXT] += weight
            if other == artist:
                state.artist_facts[artist, A_SELF] += weight
        if other == artist or slot_in(turn, scratch.mood_of[other]) >= 0:
            continue
        scratch.mood_of[other] = stamped(turn, 0)
        shared = weight / (1.0 + _FADE * q) if together else _APART * weight
        ids, after, kin = state.kin_ids, state.kin_next, state.kin_shared
        strengthen_both(ids, after, kin, other, artist, follows, shared)
        strengthen_both(ids, after, kin, artist, other, 0.0, shared)


@compiled
def forget_artist_tracks(state: State, gone: Array) -> None:
    """Take gone tracks out of their artists; an artist without tracks gives its row back.

    Parameters
    ----------
    gone
        bool, one per track row.
    """
    for row in range(gone.shape[0]):
        artist = state.track_artist[row] - 1
        if gone[row] and artist >= 0:
            state.artist_size[artist] -= 1
            state.track_artist[row] = 0
    used = min(state.counters[ARTISTS], state.artist_size.shape[0])
    for artist in range(used):
        _drop_gone(state.known_ids, artist, gone)
        for k in range(state.newest_ids.shape[1]):
            track = state.newest_ids[artist, k] - 1
            if track >= 0 and gone[track]:
                state.newest_ids[artist, k] = 0
        _drop_kin(state, artist)
    for artist in range(used):
        if state.artist_size[artist] == 0 and state.artist_key[artist] != 0:
            _give_back(state, artist)


@inner
def _drop_gone(ids: Array, artist: int, gone: Array) -> None:
    kept = 0
    for k in range(ids.shape[1]):
        track = ids[artist, k] - 1
        if track < 0:
            break
        if not gone[track]:
            ids[artist, kept] = ids[artist, k]
            kept += 1
    for k in range(kept, ids.shape[1]):
        ids[artist, k] = 0


@inner
def _drop_kin(state: State, artist: int) -> None:
    ids, after, kin = state.kin_ids, state.kin_next, state.kin_shared
    kept = 0
    for k in range(ids.shape[1]):
        other = ids[artist, k] - 1
        if other < 0:
            break
        if state.artist_size[other] > 0 and state.artist_size[artist] > 0:
            ids[artist, kept] = ids[artist, k]
            after[artist, kept] = after[artist, k]
            kin[artist, kept] = kin[artist, k]
            kept += 1
    for k in range(kept, ids.shape[1]):
        ids[artist, k] = 0
        after[artist, k] = 0.0
        kin[artist, k] = 0.0


@inner
def _give_back(state: State, artist: int) -> None:
    remove(state.artist_keys, state.artist_rows, state.artist_key[artist])
    state.artist_key[artist] = 0
    state.artist_met[artist] = 0
    state.artist_facts[artist, :] = 0.0
    state.newest_ids[artist, :] = 0
    give_row(state.counters, state.free_artists, FREE_ARTISTS, artist)
