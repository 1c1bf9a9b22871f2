"""The model's arrays by name, as one tuple that compiled code and Python share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Positions in ``State.counters``. A counter is a plain int64 in the file.
GENERATION = 0  # grows with every new live file
PLAYS = 1  # plays learned as transitions
DUPLICATES = 2  # plays that changed nothing
LATE = 3  # plays older than the listener's newest
TRACKS = 4  # track rows ever handed out (high-water mark)
LISTENERS = 5  # listener rows ever handed out
HEAP = 7  # bytes of the document heap in use (high-water mark)
CLOCK = 8  # newest second learned, 0 before the first play
ORIGIN = 9  # second at which the neighbour weights have unit 1
POP_ORIGIN = 10  # the same for popularity
UPDATES = 11  # ranker updates
TOP = 12  # entries of ``top``
OFFSETS = 13  # entries of the offset table
ALIASES = 14  # used slots of the alias table
FREE_TRACKS = 15  # entries of the free list of track rows
FREE_LISTENERS = 16
EVICTED_TRACKS = 17
EVICTED_LISTENERS = 18
SKIPS = 19  # plays that were skips
TRIALS = 20  # plays ranked before they were learned, ever
BATCH_VIEW = 21  # generation of the batch view in the table, 0 none
CONTENT_VIEW = 22  # the same for the content view
ARTISTS = 23  # artist rows ever handed out
FREE_ARTISTS = 24  # entries of the free list of artist rows
COUNTERS = 64

# Positions in ``State.settings``: the part of the configuration the kernels read (float64).
GAP = 0
HALF_LIFE = 1
RANKER_EVERY = 2
WARM_UP = 3
LINEAR_RATE = 4
HIDDEN_RATE = 5
TASTE_TRACKS = 6
SETTINGS = 16

# Columns of ``State.facts``: what a track's own numbers are, one cache line a track.
N_NEXT = 0  # normalisers of its neighbour weights: next play,
N_WINDOW = 1  # window of five plays,
N_SESSION = 2  # shared sessions,
N_TASTE = 3  # shared listeners
POPULAR = 4  # forward-decayed plays, three horizons
HEARD = 7  # plays of which the share played is known
SKIPPED = 8  # of these, skips
STEP = 9  # seconds to the next play in a session, a running median; 0 unknown
FACTS = 16

# Columns of ``State.artist_facts``: decayed plays of the artist, plays that followed one of it
# within a session, and those of them that were of the same artist.
A_PLAYS = 0
A_NEXT = 1
A_SELF = 2
ARTIST_FACTS = 4

# Popularity horizons: half-lives in seconds. Each has a column of ``State.facts``, from ``POPULAR``
# on, and an entry of ``State.totals``.
POP_HALF_LIVES = (3_600.0, 86_400.0, 14 * 86_400.0)
HOUR = 0
DAY = 1
FORTNIGHT = 2

TOP_TRACKS = 128
"""Most popular tracks kept in order, candidates for everybody."""


class State(NamedTuple):
    """Views into one buffer. Neighbour ids are track indices plus one; 0 is an empty slot.

    Rows of a neighbour table fill from the left, so the first 0 ends a row.
    """

    counters: Array  # i64 [COUNTERS]
    settings: Array  # f64 [SETTINGS]
    totals: Array  # f64 [3] sum of each popularity column
    top: Array  # i32 [TOP_TRACKS] track indices, most popular first
    alias_keys: Array  # u64 [A] open addressing; 0 empty
    alias_rows: Array  # i32 [A] track index
    listener_keys: Array  # u64 [B] open addressing
    listener_rows: Array  # i32 [B]
    free_tracks: Array  # i32 [T] stack of rows to reuse
    free_listeners: Array  # i32 [L]
    track_key: Array  # u64 [T] key by names
    track_id_key: Array  # u64 [T] key by public id
    artist: Array  # u64 [T] artist key, 0 unknown
    document_at: Array  # i64 [T] byte offset in the heap
    document_size: Array  # i32 [T] bytes
    document_crc: Array  # u32 [T]
    last_play: Array  # i64 [T] second of the newest play
    facts: Array  # f32 [T, FACTS] normalisers, popularity, skips
    next_ids: Array  # i32 [T, next_slots]
    next_direct: Array  # f32 [T, next_slots] weight of the next play
    next_window: Array  # f32 [T, next_slots] weight within five plays
    next_offset: Array  # u16 [T, next_slots] seconds between starts, newest, 0 none
    pair_ids: Array  # i32 [T, pair_slots]
    pair_session: Array  # f32 [T, pair_slots] weight of shared sessions
    pair_taste: Array  # f32 [T, pair_slots] weight of shared listeners
    shown_at: Array  # i32 [T] number of the newest trial whose ten best held the track, 0 none
    batch_ids: Array  # i32 [T, outside_slots] nightly batch view
    batch_weights: Array  # f32 [T, outside_slots]
    content_ids: Array  # i32 [T, outside_slots] same artist, tags
    content_weights: Array  # f32 [T, outside_slots]
    track_artist: Array  # i32 [T] artist row + 1, 0 unknown
    free_artists: Array  # i32 [T] stack of artist rows to reuse
    artist_keys: Array  # u64 [B] open addressing
    artist_rows: Array  # i32 [B]
    artist_key: Array  # u64 [T]
    artist_size: Array  # i32 [T] tracks that have rows
    artist_met: Array  # i32 [T] tracks ever entered in ``newest_ids``
    artist_facts: Array  # f32 [T, ARTIST_FACTS]
    known_ids: Array  # i32 [T, artist_tracks] most played tracks, in order
    newest_ids: Array  # i32 [T, artist_newest] ring of the tracks met last
    kin_ids: Array  # i32 [T, artist_kin] other artists
    kin_next: Array  # f32 [T, artist_kin] weight of being played next
    kin_shared: Array  # f32 [T, artist_kin] weight of shared sessions and listeners
    listener_key: Array  # u64 [L]
    listener_seen: Array  # i64 [L] second of the newest play
    window_size: Array  # i32 [L]
    window_tracks: Array  # i32 [L, history] track index, -1 forgotten
    window_seconds: Array  # u32 [L, history]
    window_ratios: Array  # u8 [L, history] per cent of the track played, 255 unknown
    linear: Array  # f32 [2, CONTEXTS, F] first stage, a row for each number of the context
    linear_squares: Array  # f32 [2, CONTEXTS, F] sums of squared gradients
    hidden: Array  # f32 [2, INPUTS, H] first layer
    hidden_squares: Array  # f32 [2, INPUTS, H]
    output: Array  # f32 [2, 2, H] biases of the hidden units; weights to the score
    output_squares: Array  # f32 [2, 2, H]
    trials: Array  # i32 [TRIAL_ROWS, TRIAL_COLUMNS] see ``online_model.health``
    heap: Array  # u8 [tracks * document_bytes]
    offset_logs: Array  # u8 [OFFSET_ROWS, 64] log id, UTF-8, zero padded
    offset_partitions: Array  # i64 [OFFSET_ROWS]
    offset_values: Array  # i64 [OFFSET_ROWS]


OFFSET_ROWS = 1024

TRIAL_ROWS = 8192
"""Newest plays that the learner ranked before learning them."""

TRIAL_COLUMNS = 5


def as_readonly(state: State) -> State:
    """Return the same arrays without the right to write them."""
    views = []
    for array in state:
        view = array.view()
        view.flags.writeable = False
        views.append(view)
    return State(*views)


def weight_now(state: State) -> float:
    """Return the weight of a play at this moment.

    Old weights do not decay. Instead the weight of a new play doubles with each half-life, so the
    ratios of the weights are those of an exponential decay.
    """
    elapsed = int(state.counters[CLOCK]) - int(state.counters[ORIGIN])
    return float(2.0 ** (elapsed / float(state.settings[HALF_LIFE])))


def nbytes(state: State) -> int:
    """Return the bytes addressed by all arrays."""
    return int(np.sum([a.nbytes for a in state]))
