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

HIDDEN = 16
"""Hidden units of the ranker, per task."""

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
EVIDENCE = 16

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
)
FEATURES = len(FEATURE_NAMES)

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

MAX_CANDIDATES = 4096
"""Most candidates gathered for one list."""
