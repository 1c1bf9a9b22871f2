"""What the ranker sees of a candidate, by number and by name.

Candidate sources first add raw evidence into one row of ``EVIDENCE`` numbers per candidate
(:mod:`online_model.candidates`); :func:`online_model.scoring.describe` turns these into the
``FEATURES`` the ranker weighs. ``CONTEXTS`` describe the moment and are equal for all candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TASKS = 2
"""Any next play (0), or discovery: a track this listener has not had (1)."""

# Numpy integers: numba compiles a function again for every literal it is called with.
ANY: int = np.int64(0)  # type: ignore[assignment]
NEW: int = np.int64(1)  # type: ignore[assignment]

IN_SESSION = 0
AFTER_SILENCE = 1
STRANGER = 2
"""Situations: in a session, after a silence, a stranger without plays."""

HIDDEN = 32
"""Hidden units of the ranker's second stage, per task."""

SHORTLIST = 64
"""Candidates the second stage looks at."""

# Raw evidence, one float32 each. First what sources pour in, by any track; the four columns of the
# pair table, which is by far the most poured, lie side by side.
E_NEXT = 0  # share of plays that went here after the last track
E_NEXT2 = 1  # the same after the last but one
E_WINDOW = 2  # within five plays after the last four tracks
E_MATCH = 3  # it came as long after the last track as now, within seconds
E_SESSION = 4  # shared sessions with this session's tracks, before the candidate's norm
E_TASTE = 5  # shared listeners with this listener's tracks, before the candidate's norm
E_VOTES = 6  # how many of this session's tracks have it as a neighbour
E_LINKS = 7  # how many of this listener's tracks have it as a neighbour
E_NEAR = 8  # as ``E_MATCH``, within a minute
E_EARLIER = 9  # as ``E_MATCH``, of the three tracks before the last
E_BATCH = 10  # nightly batch view
E_CONTENT = 11  # same artist, tags
E_ARTIST = 12  # how much the moment calls for the artist whose list holds it
E_ARTIST_RANK = 13  # 1 / place among the tracks of its artist that this listener did not play
POURED = 14
# Then what the listener's own plays say: 0 for a track that the window does not hold.
E_ACTIVATION = 14  # sum of (seconds since own play) ** -.5
E_COUNT = 15  # own plays
E_RECENCY = 16  # 1 / plays since the newest own play
E_IN_SESSION = 17  # own plays in this session
E_OWN_NEXT = 18  # own plays that went here from the last track
E_OWN_NEXT2 = 19  # the same, the two last tracks matching
E_OWN_WINDOW = 20  # own plays within five after the last track
E_SKIPPED = 21  # own skips
EVIDENCE = 24  # a multiple of four: a row starts on a quarter of a cache line

FEATURE_NAMES = (
    "next",
    "next_share",
    "next2",
    "window",
    "next_lift",
    "window_lift",
    "session",
    "session_share",
    "votes",
    "taste",
    "taste_share",
    "links",
    "activation",
    "count",
    "heard",
    "in_session",
    "recency",
    "is_last",
    "own_next",
    "own_next2",
    "own_window",
    "skipped",
    "popular_hour",
    "popular_day",
    "popular_fortnight",
    "skip_rate",
    "batch",
    "content",
    "same_artist",
    "next_x_session",
    "session_x_taste",
    "next_x_in_session",
    "next_x_activation",
    "artist_session",
    "artist_taste",
    "artist_recency",
    "artist_next",
    "artist_kin",
    "artist_skips",
    "artist_variety",
    "artist_share",
    "artist_rank",
    "offset_match",
    "offset_near",
    "offset_earlier",
    "match_x_next",
    "known",
    "unplayed",
    "same_artist_x_rank",
    "heard_x_artist",
)
FEATURES = len(FEATURE_NAMES)


ARTIST_FEATURES = (
    "artist_session",
    "artist_taste",
    "artist_recency",
    "artist_next",
    "artist_kin",
    "artist_skips",
    "artist_variety",
    "artist_share",
    "same_artist_x_rank",
    "heard_x_artist",
)
"""Features that rest on what is known of the candidate's artist."""

# Columns of a mood: how this listener stands to an artist now (:mod:`online_model.moods`). The
# first seven are in the order of the features that are made of them, from "artist_session" on.
M_SESSION = 0  # plays of the running session, newer ones weighing more
M_TASTE = 1  # plays of the window, newer ones weighing more
M_RECENCY = 2  # 1 / plays since the artist was last played
M_NEXT = 3  # share of plays that went to the artist after one of the last artist
M_KIN = 4  # shared sessions and listeners with the newest artists (cosine)
M_SKIPS = 5  # plays in the window that were skips
M_DISTINCT = 6  # distinct tracks of the artist in the window
M_PLAYS = 7  # plays in the window
MOODS = 8

MAX_MOODS = 512
"""Most artists looked at for one list."""


class Source(NamedTuple):
    """Evidence and features that one source of candidates gives a track.

    Attributes
    ----------
    evidence
        Its columns of evidence. Features derived from them follow.
    facts
        Features it adds that rest on no column of evidence.
    """

    evidence: tuple[int, ...] = ()
    facts: tuple[str, ...] = ()


SOURCES = {
    "next": Source((E_NEXT, E_NEXT2, E_WINDOW, E_MATCH, E_NEAR, E_EARLIER)),
    "session": Source((E_SESSION, E_VOTES)),
    "taste": Source((E_TASTE, E_LINKS)),
    "history": Source(
        (
            E_ACTIVATION,
            E_COUNT,
            E_RECENCY,
            E_IN_SESSION,
            E_OWN_NEXT,
            E_OWN_NEXT2,
            E_OWN_WINDOW,
            E_SKIPPED,
        ),
        ("is_last",),
    ),
    "popularity": Source(
        facts=("popular_hour", "popular_day", "popular_fortnight", "known", "unplayed")
    ),
    "batch": Source((E_BATCH,)),
    "content": Source((E_CONTENT,)),
    "artist": Source((E_ARTIST, E_ARTIST_RANK), ("same_artist", *ARTIST_FEATURES)),
}
"""Evidence and features of each source. Setting all of them to 0 removes a source from a score."""

CONTEXT_NAMES = (
    "bias",
    "new_session",
    "stranger",
    "session_length",
    "history_length",
    "silence",
    "repeat_share",
    "session_repeat_share",
    "repeating",
    "known_next",
    "last_ratio",
    "artist_streak",
    "session_artists",
    "artist_stays",
    "lateness",
    "on_time",
)
CONTEXTS = len(CONTEXT_NAMES)
BIAS = CONTEXT_NAMES.index("bias")

INPUTS = FEATURES + 1 + CONTEXTS
"""Inputs of the second stage: features, the first stage's score below its best, context."""

MAX_CANDIDATES = 4096
"""Most candidates gathered for one list."""

MOST_UNHEARD = 256
"""Most of them that are ranked, besides the listener's own: the cost of a list is bounded."""
