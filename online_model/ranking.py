"""What a recommendation is made of, apart from names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from online_model.explaining import Reason
from online_model.state import Array


class LearnStats(NamedTuple):
    """What became of a batch of plays.

    Attributes
    ----------
    learned, duplicates, late
        Plays that were learned, were known already, or came late.
    met
        Plays whose track had no row by its key before.
    """

    learned: int
    duplicates: int
    late: int
    met: int = 0


@dataclass(frozen=True, slots=True)
class Ranking:
    """Tracks in the order to show them.

    Attributes
    ----------
    indices
        Track rows, i32, shape (n,). ``Recommender.document`` turns a row into its description.
    scores
        Logits of the ranker, f32, shape (n,), highest first.
    features
        What the ranker saw, f32, shape (n, F), named by ``features.FEATURE_NAMES``; the impression
        log keeps them so that nobody has to recompute them later.
    propensities
        Chance with which each place shows this track, f32, shape (n,); 1 without exploration.
    explored
        Whether exploration drew the track of a place, bool, shape (n,); ``None``: none was drawn.
    stranger
        No play of the window is known to the model: the list is what is popular.
    reasons
        With ``explain``: per track what each source contributed, the greatest first, and what no
        source accounts for; they add up to the score. Else empty.
    teams
        Of a list drafted from two rankings: which of them picked each track, u8, shape (n,)
        (:mod:`online_model.interleaving`).
    """

    indices: Array
    scores: Array
    features: Array
    propensities: Array
    stranger: bool
    teams: Array | None = None
    explored: Array | None = None
    reasons: tuple[tuple[Reason, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.indices)
