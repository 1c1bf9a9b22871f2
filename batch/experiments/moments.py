"""Sums over the listeners of one arm, from which every estimate is computed.

The warehouse adds up and this process computes, so DuckDB and Snowflake give the same answer and
the size of the data does not matter here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Columns of a listener's row, in the order of the sums: the metric's numerator and denominator
#: since the first list, and both over the time before it.
COLUMNS = ("y", "d", "y0", "d0")
#: Names of the sums of products, the upper triangle row by row, as the warehouse gives them.
PRODUCTS = tuple(f"{a}_{b}" for at, a in enumerate(COLUMNS) for b in COLUMNS[at:])


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the listeners of one arm for one metric.

    Attributes
    ----------
    n
        Listeners.
    sums
        Sum of each of :data:`COLUMNS`, shape ``(4,)``.
    products
        Sums of their products, symmetric, shape ``(4, 4)``.
    """

    n: int
    sums: npt.NDArray[np.float64]
    products: npt.NDArray[np.float64]

    @classmethod
    def of(cls, n: int, sums: Sequence[float], products: Sequence[float]) -> Moments:
        """Return moments from a row of the warehouse; ``products`` as in :data:`PRODUCTS`."""
        matrix = np.zeros((4, 4))
        matrix[np.triu_indices(4)] = [float(p) for p in products]
        matrix = matrix + np.triu(matrix, 1).T
        return cls(int(n), np.array([float(s) for s in sums]), matrix)

    @classmethod
    def none(cls) -> Moments:
        """Return the moments of an empty group."""
        return cls(0, np.zeros(4), np.zeros((4, 4)))

    @classmethod
    def from_rows(cls, rows: npt.ArrayLike) -> Moments:
        """Return the moments of listeners' rows, shape ``(n, 4)``, columns as :data:`COLUMNS`."""
        values = np.asarray(rows, np.float64).reshape(-1, 4)
        return cls(len(values), values.sum(axis=0), values.T @ values)

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both groups together."""
        return Moments(self.n + other.n, self.sums + other.sums, self.products + other.products)

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """Mean of each column, shape ``(4,)``."""
        return self.sums / max(self.n, 1)

    @property
    def covariance(self) -> npt.NDArray[np.float64]:
        """Sample covariance of the columns, shape ``(4, 4)``; zeros below two listeners."""
        if self.n < 2:
            return np.zeros((4, 4))
        centred = self.products - np.outer(self.sums, self.sums) / self.n
        return np.asarray(centred / (self.n - 1))
