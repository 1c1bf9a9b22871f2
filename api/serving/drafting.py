"""A list drafted from two rankings, for interleaved experiments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from api.serving.asked import Asked
from online_model import Ranking
from online_model.exploration import seed_of
from online_model.interleaving import draft
from online_model.state import Array

#: Makes the list that is asked for, with a share of exploration.
Ranked = Callable[[Asked, float], Ranking]


def draft_list(ranked: Ranked, first: Asked, second: Asked, impression_id: str) -> Ranking:
    """Return a list drafted from what two arms show; it does not explore.

    Scores, features and reasons of a track are those of the ranking that picked it. The list is one
    for a stranger if the first ranking is.
    """
    made = [ranked(asked._replace(explore=0.0), 0.0) for asked in (first, second)]
    drafted = draft(made[0].indices, made[1].indices, first.limit, seed_of(impression_id))
    picks = list(zip(drafted.teams.tolist(), drafted.positions.tolist(), strict=True))
    # Both rankings one below the other: a track of the second lies that much further down.
    at = drafted.positions + drafted.teams.astype(np.int64) * len(made[0])

    def column(name: str) -> Array:
        every: Array = np.concatenate([getattr(one, name) for one in made])
        return np.asarray(every[at])

    return Ranking(
        indices=column("indices"),
        scores=column("scores"),
        features=column("features"),
        propensities=drafted.chances,
        stranger=made[0].stranger,
        reasons=tuple(made[team].reasons[place] for team, place in picks) if first.explain else (),
        teams=drafted.teams,
    )
