"""What the ranker sees of a candidate, by number and by name.

Candidate sources first add raw evidence into one row of ``EVIDENCE`` numbers per candidate
(:mod:`online_model.candidates`); :func:`online_model.scoring.describe` turns these into the
``FEATURES`` the ranker weighs. ``CONTEXTS`` describe the moment and are equal for all candidates.
"""

from __future__ import annotations

TASKS = 2
"""Any next play (0), or discovery: a track this listener has not had (1)."""

SITUATIONS = 3
"""In a session (0), after a silence (1), a stranger without plays (2)."""

HIDDEN = 32
"""Hidden units of the ranker's second stage, per task."""

SHORTLIST = 128
"""Candidates the second stage looks at."""

# Raw evidence, one float32 each.
E_NEXT = 0  # share of plays that went here after the last track
E_NEXT2 = 1  # the same after the last but one
E_WINDOW = 2  # within five plays after the last four tracks
E_SESSION = 3  # shared sessions with this session's tracks, before the candidate's norm
E_TASTE = 4  # shared listeners with this listener's tracks, before the candidate's norm
E_NEAREST = 5  # in the recent sessions nearest to this one
E_ACTIVATION = 6  # sum of (seconds since own play) ** -.5
E_COUNT = 7  # own plays
E_RECENCY = 8  # 1 / plays since the newest own play
E_IN_SESSION = 9  # own plays in this session
E_OWN_NEXT = 10  # own plays that went here from the last track
E_OWN_NEXT2 = 11  # the same, the two last tracks matching
E_SKIPPED = 12  # own skips
E_BATCH = 13  # nightly batch view
E_CONTENT = 14  # same artist, tags
E_AGE = 15  # seconds since the newest own play
E_AFTER = 16  # after the shared track in the recent sessions nearest to this one
E_OWN_WINDOW = 17  # own plays within five after the last track
E_FRESH = 18  # 1 / days since anybody last went here from the last track
EVIDENCE = 20  # a multiple of four: a row starts on a quarter of a cache line

FEATURE_NAMES = (
    "next",
    "next_share",
    "next2",
    "session",
    "session_share",
    "taste",
    "taste_share",
    "activation",
    "count",
    "heard",
    "in_session",
    "recency",
    "popular_day",
    "popular_fortnight",
    "is_last",
    "own_next",
    "window",
    "nearest",
    "next_lift",
    "window_lift",
    "next_x_session",
    "session_x_taste",
    "next_x_in_session",
    "next_x_activation",
    "next_x_nearest",
    "popular_hour",
    "own_next2",
    "skipped",
    "skip_rate",
    "batch",
    "content",
    "age",
    "same_artist",
    "after",
    "own_window",
    "next_top",
    "window_top",
    "session_top",
    "taste_top",
    "nearest_top",
    "after_top",
    "track_age",
    "replayed",
    "fresh",
)
FEATURES = len(FEATURE_NAMES)

SOURCES = {
    "next": (
        "next",
        "next_share",
        "next2",
        "window",
        "next_lift",
        "window_lift",
        "next_top",
        "window_top",
        "next_x_session",
        "next_x_in_session",
        "next_x_activation",
        "next_x_nearest",
        "fresh",
    ),
    "session": ("session", "session_share", "session_top", "session_x_taste", "next_x_session"),
    "nearest": ("nearest", "nearest_top", "after", "after_top", "next_x_nearest"),
    "taste": ("taste", "taste_share", "taste_top", "session_x_taste"),
    "history": (
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
        "age",
        "next_x_in_session",
        "next_x_activation",
    ),
    "popularity": ("popular_hour", "popular_day", "popular_fortnight", "track_age", "replayed"),
    "batch": ("batch",),
    "content": ("content", "same_artist"),
}
"""Which features speak for which source, products of two sources for both."""

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
