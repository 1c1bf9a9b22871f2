"""Two invented rankers, and listeners who play from their lists: a known truth.

Both see how much a listener would like each track through noise; the one with less noise is better.
Listeners look at a list from the top, less and less; a few ask most often, and tastes differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batch.experiments.compare import listeners_needed, paired
from batch.experiments.moments import Moments
from online_model.interleaving import draft

Rows = npt.NDArray[np.float64]

#: Tracks to rank, places of a list, and the share of listeners who look at each place.
TRACKS, PLACES = 60, 10
_LOOKED_AT = 1.0 / (1.0 + 0.3 * np.arange(PLACES))


class Pool(NamedTuple):
    """A row a listener.

    Attributes
    ----------
    control, arm
        Plays, lists and two zeros where each list is of one ranker, shape ``(n, 4)``: as
        :class:`Moments` takes a metric.
    drafted
        Plays credited to the arm, lists, plays credited to the control, lists.
    """

    control: Rows
    arm: Rows
    drafted: Rows


def pool(seed: int, listeners: int, noise: tuple[float, float]) -> Pool:
    """Return what the same people do with the lists of either ranker, and with drafted ones."""
    rng = np.random.default_rng(seed)
    lists = 1 + rng.negative_binomial(0.7, 0.2, listeners)
    made = Pool(*(np.zeros((listeners, 4)) for _ in range(3)))
    for user in range(listeners):
        taste = rng.beta(2, 3)
        for _ in range(int(lists[user])):
            liked = rng.beta(0.5, 4.0, TRACKS)
            order = [
                np.argsort(-(liked + rng.normal(0, each, TRACKS)))[:PLACES].astype(np.int32)
                for each in noise
            ]
            for rows, one in zip((made.control, made.arm), order, strict=True):
                rows[user, 0] += (rng.random(PLACES) < taste * _LOOKED_AT * liked[one]).sum()
            found = draft(order[0], order[1], PLACES, int(rng.integers(2**62)))
            shown = np.where(
                found.teams == 1,
                order[1][found.positions],
                order[0][found.positions],
            )
            hit = rng.random(PLACES) < taste * _LOOKED_AT * liked[shown]
            made.drafted[user, 0] += (hit & (found.teams == 1)).sum()
            made.drafted[user, 2] += (hit & (found.teams == 0)).sum()
    for rows in made:
        rows[:, 1] = lists
    made.drafted[:, 3] = lists
    return made


def needed(of: Pool) -> tuple[float, float]:
    """Return the listeners that two groups need, and drafted lists, for a power of 80 %."""
    control, arm = (Moments.from_rows(rows) for rows in (of.control, of.arm))
    change = (arm.sums[0] / arm.sums[1]) / (control.sums[0] / control.sums[1]) - 1
    two_groups = 2 * listeners_needed(control, float(change))
    found = paired(Moments.from_rows(of.drafted))
    assert found is not None
    z = (1.959964 + 0.841621) ** 2
    return two_groups, z * len(of.drafted) * (found.difference.error / found.difference.value) ** 2


def drawn(rng: np.random.Generator, rows: Rows, n: int) -> Moments:
    """Return the moments of ``n`` listeners drawn from a pool."""
    return Moments.from_rows(rows[rng.integers(0, len(rows), n)])
