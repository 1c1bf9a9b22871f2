"""Who played what: the matrix the batch models learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

#: A play counts half after this many days.
HALF_LIFE_DAYS = 180.0


@dataclass(frozen=True, slots=True)
class RatedTracks:
    """Distinct (listener, track) pairs with a weight and the time of the last play.

    Attributes
    ----------
    users, items
        Row and column numbers, from 0; shape ``(n,)``, int32.
    seconds
        Newest play of the pair, seconds since the epoch, UTC; shape ``(n,)``, int64.
    shape
        (listeners, tracks).
    """

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    seconds: npt.NDArray[np.int64]
    shape: tuple[int, int]

    def matrix(self, *, half_life_days: float | None = HALF_LIFE_DAYS) -> sparse.csr_matrix:
        """Return the (listeners x tracks) float32 matrix: 1 for a pair of now, less for older.

        How often a track was played does not count: with it, EASE found no more of the tracks that
        listeners of 30Music played for the first time (docs/adr/0063-aims-not-reached.md).
        """
        values = np.ones(len(self.users), np.float32)
        if half_life_days is not None and len(values):
            age = (self.seconds.max() - self.seconds) / 86_400
            values = np.power(0.5, age / half_life_days).astype(np.float32)
        return sparse.csr_matrix((values, (self.users, self.items)), shape=self.shape)

    def split(self, held_out: npt.NDArray[np.bool_]) -> tuple[RatedTracks, RatedTracks]:
        """Return (training, test) over the same numbering."""
        return self._where(~held_out), self._where(held_out)

    def _where(self, rows: npt.NDArray[np.bool_]) -> RatedTracks:
        return RatedTracks(self.users[rows], self.items[rows], self.seconds[rows], self.shape)
