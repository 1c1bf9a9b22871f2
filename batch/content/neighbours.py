"""The content neighbour table: for each item its most similar ones, a bounded number."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from batch.content.vectors import Vectors
from contracts.errors import IncompatibleState
from contracts.whole_files import replacing

LAYOUT = 1
#: Rows scored at once: bounds memory at ``block * items * 4`` bytes.
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class ContentNeighbours:
    """A table of neighbours, with one layout for every origin.

    Attributes
    ----------
    keys
        Shape ``(items,)``, uint64: key of each item (``contracts.ids``).
    items
        Shape ``(items, k)``, int32: rows of the neighbours, most similar first, -1 for none.
    scores
        Shape ``(items, k)``, float32: cosine, 0 where there is none.
    """

    keys: npt.NDArray[np.uint64]
    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]

    @classmethod
    def of(cls, vectors: Vectors, keys: npt.NDArray[np.uint64], k: int = 50) -> ContentNeighbours:
        """Find the `k` nearest items of each item by cosine, itself excluded."""
        known = np.flatnonzero(vectors.known)  # an item without tags is nobody's neighbour
        values = vectors.values[known]
        k = min(k, max(1, len(keys) - 1))
        items = np.full((len(keys), k), -1, np.int32)
        scores = np.zeros((len(keys), k), np.float32)
        most = min(k, len(known))
        for start in range(0, len(known), _BLOCK):
            block = values[start : start + _BLOCK] @ values.T
            rows = np.arange(len(block))
            block[rows, rows + start] = -np.inf
            best = np.argpartition(-block, most - 1, axis=1)[:, :most]
            order = np.argsort(-np.take_along_axis(block, best, 1), axis=1, kind="stable")
            best = np.take_along_axis(best, order, 1)
            found = np.take_along_axis(block, best, 1)
            place = known[start : start + _BLOCK]
            items[place, :most] = np.where(found > 0, known[best], -1)
            scores[place, :most] = np.where(found > 0, found, 0)
        return cls(keys, items, scores)

    def save(self, path: Path) -> None:
        """Write the table aside, sync it and put it in place in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez(
                file, layout=np.int64(LAYOUT), keys=self.keys, items=self.items, scores=self.scores
            )

    @classmethod
    def load(cls, path: Path) -> ContentNeighbours:
        """Read a table.

        Raises
        ------
        IncompatibleState
            The file is cut off, damaged or has another layout.
        """
        try:
            # Opened here: numpy leaves a torn file open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                if int(stored["layout"]) != LAYOUT:
                    raise IncompatibleState(f"{path} has layout {int(stored['layout'])}")
                return cls(stored["keys"], stored["items"], stored["scores"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise IncompatibleState(f"{path} is not a neighbour table: {error}") from None
