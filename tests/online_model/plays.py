"""Small made-up streams for the model's tests: sessions of a few listeners over a few tracks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from online_model import ModelConfig

SMALL = ModelConfig(tracks=200, listeners=50)


class Plays(NamedTuple):
    """Columns of plays, in the form ``Recommender.learn_plays`` takes."""

    users: npt.NDArray[np.uint64]
    tracks: npt.NDArray[np.uint64]
    seconds: npt.NDArray[np.int64]
    ratios: npt.NDArray[np.uint8]

    def part(self, start: int, end: int) -> Plays:
        cut = slice(start, end)
        return Plays(self.users[cut], self.tracks[cut], self.seconds[cut], self.ratios[cut])


def made_up(n: int, *, seed: int = 0, tracks: int = 60, listeners: int = 10) -> Plays:
    """Return plays in which each listener walks along a ring of tracks, with some noise."""
    g = np.random.default_rng(seed)
    users = g.integers(1, listeners + 1, n)
    at = g.integers(0, tracks, listeners + 1)
    items = np.zeros(n, np.uint64)
    for k, user in enumerate(users):
        at[user] = (at[user] + 1) % tracks if g.random() < 0.8 else g.integers(0, tracks)
        items[k] = at[user] + 1000
    seconds = 1_700_000_000 + np.cumsum(g.integers(1, 60, n))
    ratios = g.choice(np.array([255, 100, 80, 10], np.uint8), n)
    return Plays(users.astype(np.uint64), items, seconds.astype(np.int64), ratios)
