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

# Numpy integers: numba compiles a function anew for every literal it is called with.
ANY: int = np.int64(0)  # type: ignore[assignment]
NEW: int = np.int64(1)  # type: ignore[assignment]

IN_SESSION = 0
AFTER_SILENCE = 1
STRANGER = 2
SITUATIONS = 3
"""In a session, after a silence, a stranger without plays: each has weights of its own."""

HIDDEN = 32
"""Hidden units of the ranker's second stage, per task."""

SHORTLIST = 64
"""Candidates the second stage looks at."""

# Raw evidence, one float32 each.
E_NEXT = 0  # share of plays that went here after the last track
E_NEXT2 = 1  # the same after the last but one
E_WINDOW = 2  # within five plays after the last four tracks
E_SESSION = 3  # shared sessions with this session's tracks, before the candidate's norm
E_TASTE = 4  # shared listeners with this listener's tracks, before the candidate's norm
E_VOTES = 5  # how many of this session's tracks have it as a neighbour
E_NEAREST = 6  # in the recent sessions nearest to this one
E_ACTIVATION = 7  # sum of (seconds since own play) ** -.5
E_COUNT = 8  # own plays
E_RECENCY = 9  # 1 / plays since the newest own play
E_IN_SESSION = 10  # own plays in this session
E_OWN_NEXT = 11  # own plays that went here from the last track
E_OWN_NEXT2 = 12  # the same, the two last tracks matching
E_OWN_WINDOW = 13  # own plays within five after the last track
E_SKIPPED = 14  # own skips
E_BATCH = 15  # nightly batch view
E_CONTENT = 16  # same artist, tags
E_LINKS = 17  # how many of this listener's tracks have it as a neighbour
EVIDENCE = 20  # a multiple of four: a row starts on a quarter of a cache line

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
    "nearest",
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
    "next_x_nearest",
)
FEATURES = len(FEATURE_NAMES)


class Source(NamedTuple):
    """What one source of candidates says of a track.

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
    "next": Source((E_NEXT, E_NEXT2, E_WINDOW)),
    "session": Source((E_SESSION, E_VOTES)),
    "nearest": Source((E_NEAREST,)),
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
    "popularity": Source(facts=("popular_hour", "popular_day", "popular_fortnight")),
    "batch": Source((E_BATCH,)),
    "content": Source((E_CONTENT,), ("same_artist",)),
}
"""Which source says what. A source is taken out of a score by setting all of it to 0."""

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
)
CONTEXTS = len(CONTEXT_NAMES)

INPUTS = FEATURES + 1 + CONTEXTS
"""Inputs of the second stage: features, the first stage's score below its best, context."""

MAX_CANDIDATES = 4096
"""Most candidates gathered for one list."""

MOST_UNHEARD = 384
"""Most of them that are ranked, besides the listener's own: the cost of a list is bounded."""
