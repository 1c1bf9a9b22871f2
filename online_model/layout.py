"""Where every array lies in the model's file: a pure function of the configuration."""

from __future__ import annotations

import mmap
from typing import NamedTuple

import numpy as np

from online_model.config import ModelConfig
from online_model.features import CONTEXTS, FEATURES, HIDDEN, INPUTS, TASKS
from online_model.state import (
    ARTIST_FACTS,
    ARTISTS,
    COUNTERS,
    FACTS,
    HEAP,
    LISTENERS,
    OFFSET_ROWS,
    POP_HALF_LIVES,
    SETTINGS,
    TOP_TRACKS,
    TRACKS,
    TRIAL_COLUMNS,
    TRIAL_ROWS,
    Array,
    State,
)

LAYOUT_VERSION = 5
"""Raised whenever an array is added, moved or changes its meaning."""

HEADER_BYTES = 4096
_ALIGN = 64  # one cache line


class Field(NamedTuple):
    """One array: its type, its shape, and which counter bounds the rows in use (-1: all)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    rows_in_use: int


def _power_of_two(n: int) -> int:
    return 1 << max(4, (n - 1).bit_length())


def fields(config: ModelConfig) -> list[Field]:
    """List the arrays of a model in file order."""
    c = config
    aliases = _power_of_two(4 * c.tracks)  # two keys a track, half full
    artists = _power_of_two(2 * c.tracks)
    people = _power_of_two(2 * c.listeners)
    horizons = len(POP_HALF_LIVES)
    every, t, u, a = -1, TRACKS, LISTENERS, ARTISTS
    rows: list[tuple[str, str, tuple[int, ...], int]] = [
        ("counters", "i8", (COUNTERS,), every),
        ("settings", "f8", (SETTINGS,), every),
        ("totals", "f8", (horizons,), every),
        ("top", "i4", (TOP_TRACKS,), every),
        ("alias_keys", "u8", (aliases,), every),
        ("alias_rows", "i4", (aliases,), every),
        ("listener_keys", "u8", (people,), every),
        ("listener_rows", "i4", (people,), every),
        ("free_tracks", "i4", (c.tracks,), every),
        ("free_listeners", "i4", (c.listeners,), every),
        ("track_key", "u8", (c.tracks,), t),
        ("track_id_key", "u8", (c.tracks,), t),
        ("artist", "u8", (c.tracks,), t),
        ("document_at", "i8", (c.tracks,), t),
        ("document_size", "i4", (c.tracks,), t),
        ("document_crc", "u4", (c.tracks,), t),
        ("last_play", "i8", (c.tracks,), t),
        ("facts", "f4", (c.tracks, FACTS), t),
        ("next_ids", "i4", (c.tracks, c.next_slots), t),
        ("next_direct", "f4", (c.tracks, c.next_slots), t),
        ("next_window", "f4", (c.tracks, c.next_slots), t),
        ("next_offset", "u2", (c.tracks, c.next_slots), t),
        ("pair_ids", "i4", (c.tracks, c.pair_slots), t),
        ("pair_session", "f4", (c.tracks, c.pair_slots), t),
        ("pair_taste", "f4", (c.tracks, c.pair_slots), t),
        ("shown_at", "i4", (c.tracks,), t),
        ("batch_ids", "i4", (c.tracks, c.outside_slots), t),
        ("batch_weights", "f4", (c.tracks, c.outside_slots), t),
        ("content_ids", "i4", (c.tracks, c.outside_slots), t),
        ("content_weights", "f4", (c.tracks, c.outside_slots), t),
        ("track_artist", "i4", (c.tracks,), t),
        ("free_artists", "i4", (c.tracks,), every),
        ("artist_keys", "u8", (artists,), every),
        ("artist_rows", "i4", (artists,), every),
        ("artist_key", "u8", (c.tracks,), a),
        ("artist_size", "i4", (c.tracks,), a),
        ("artist_met", "i4", (c.tracks,), a),
        ("artist_facts", "f4", (c.tracks, ARTIST_FACTS), a),
        ("known_ids", "i4", (c.tracks, c.artist_tracks), a),
        ("newest_ids", "i4", (c.tracks, c.artist_newest), a),
        ("kin_ids", "i4", (c.tracks, c.artist_kin), a),
        ("kin_next", "f4", (c.tracks, c.artist_kin), a),
        ("kin_shared", "f4", (c.tracks, c.artist_kin), a),
        ("listener_key", "u8", (c.listeners,), u),
        ("listener_seen", "i8", (c.listeners,), u),
        ("window_size", "i4", (c.listeners,), u),
        ("window_tracks", "i4", (c.listeners, c.history), u),
        ("window_seconds", "u4", (c.listeners, c.history), u),
        ("window_ratios", "u1", (c.listeners, c.history), u),
        ("linear", "f4", (TASKS, CONTEXTS, FEATURES), every),
        ("linear_squares", "f4", (TASKS, CONTEXTS, FEATURES), every),
        ("hidden", "f4", (TASKS, INPUTS, HIDDEN), every),
        ("hidden_squares", "f4", (TASKS, INPUTS, HIDDEN), every),
        ("output", "f4", (TASKS, 2, HIDDEN), every),
        ("output_squares", "f4", (TASKS, 2, HIDDEN), every),
        ("trials", "i4", (TRIAL_ROWS, TRIAL_COLUMNS), every),
        ("heap", "u1", (c.tracks * c.document_bytes,), HEAP),
        ("offset_logs", "u1", (OFFSET_ROWS, 64), every),
        ("offset_partitions", "i8", (OFFSET_ROWS,), every),
        ("offset_values", "i8", (OFFSET_ROWS,), every),
    ]
    return [Field(*row) for row in rows]


class Layout:
    """Offsets of all arrays of one configuration.

    Attributes
    ----------
    nbytes
        Size of the file, a multiple of the page size.

    Examples
    --------
    >>> layout = Layout(ModelConfig(tracks=100, listeners=10))
    >>> state = layout.views(bytearray(layout.nbytes))
    >>> state.next_ids.shape
    (100, 64)
    """

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.fields = fields(config)
        self.starts: list[int] = []
        at = HEADER_BYTES
        for field in self.fields:
            self.starts.append(at)
            size = int(np.prod(field.shape)) * np.dtype(field.dtype).itemsize
            at += -(-size // _ALIGN) * _ALIGN
        self.nbytes = -(-at // mmap.PAGESIZE) * mmap.PAGESIZE

    def views(self, buffer: bytearray | mmap.mmap | Array) -> State:
        """Return the arrays over a buffer of ``nbytes`` bytes, read-only where the buffer is."""
        arrays = [
            np.frombuffer(buffer, field.dtype, int(np.prod(field.shape)), start).reshape(
                field.shape
            )
            for field, start in zip(self.fields, self.starts, strict=True)
        ]
        return State(*arrays)

    def rows_in_use(self, state: State, field: Field) -> int:
        """Return how many leading rows of an array hold data."""
        if field.rows_in_use < 0:
            return field.shape[0]
        return min(int(state.counters[field.rows_in_use]), field.shape[0])
