"""Item vectors from tags: tf-idf, then a truncated singular value decomposition.

A tag counts for more the rarer it is, and for less the more an item repeats it:
``w = (1 + log count) * log((1 + items) / (1 + items with the tag))``, rows scaled to length 1.
The decomposition brings tags together that mean the same ("trip-hop", "trip hop", "bristol
sound"): see Deerwester et al., Indexing by latent semantic analysis, 1990.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds

#: Tags given to fewer items than this do not show which items are similar.
_FEWEST = 2
#: Length of an average item's sound beside its tags, which have length 1.
_SOUND_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Vectors:
    """Content vectors of items (here artists), one row per item.

    Attributes
    ----------
    values
        Shape ``(items, dimensions)``, float32. Each row has Euclidean length 1; an item without
        tags has a row of zeros.
    known
        Shape ``(items,)``, bool: whether the item has tags.
    """

    values: npt.NDArray[np.float32]
    known: npt.NDArray[np.bool_]

    @classmethod
    def from_tags(
        cls,
        items: npt.NDArray[np.int64],
        tags: npt.NDArray[np.int64],
        weights: npt.NDArray[np.float32],
        n_items: int,
        dimensions: int = 100,
    ) -> Vectors:
        """Make vectors.

        Parameters
        ----------
        items, tags, weights
            Shape ``(n,)``: how often an item was given a tag; pairs may repeat and add up.
        dimensions
            At most; fewer where there are fewer items or tags.
        """
        weighted = weigh(items, tags, weights, n_items)
        known = np.diff(weighted.indptr) > 0
        rank = min(dimensions, min(weighted.shape) - 1)
        if rank < 1 or not weighted.nnz:
            return cls(np.zeros((n_items, 1), np.float32), known)
        start = np.random.default_rng(0).standard_normal(min(weighted.shape))
        left, scale, _ = svds(weighted.astype(np.float64), k=rank, v0=start)
        return cls(unit_rows((left * scale).astype(np.float32)), known)

    def with_sound(self, sound: npt.NDArray[np.float32]) -> Vectors:
        """Return vectors to which audio features are added.

        Parameters
        ----------
        sound
            Audio features, one column each, NaN where unknown; shape ``(items, features)``.

        Features are standardised (mean 0, deviation 1) and weighted by :data:`_SOUND_SHARE`
        relative to the tags. An item without features keeps the vector of its tags; one without
        tags gets a vector of its features alone.
        """
        known = np.ma.masked_invalid(sound)
        centred = (known - known.mean(axis=0)) / np.maximum(known.std(axis=0).filled(1.0), 1e-6)
        heard = ~np.isnan(sound).all(axis=1)
        scaled = centred.filled(0.0).astype(np.float32)
        scaled *= np.float32(_SOUND_SHARE / np.sqrt(max(1, sound.shape[1])))
        return Vectors(unit_rows(np.hstack([self.values, scaled])), self.known | heard)


def weigh(
    items: npt.NDArray[np.int64],
    tags: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float32],
    n_items: int,
) -> sparse.csr_matrix:
    """Return tf-idf weights, shape ``(items, tags kept)``, rows of length 1 or empty."""
    n_tags = int(tags.max()) + 1 if len(tags) else 1
    counts = sparse.csr_matrix((weights.astype(np.float32), (items, tags)), (n_items, n_tags))
    counts.data = 1 + np.log(np.maximum(counts.data, 1))
    frequency = np.bincount(counts.indices, minlength=n_tags)
    rarity = np.log((1 + n_items) / (1 + frequency)).astype(np.float32)
    weighted = (counts @ sparse.diags(rarity)).tocsr()[:, frequency >= _FEWEST]
    lengths = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    scaled = (sparse.diags(1 / np.maximum(lengths, 1e-9)) @ weighted).tocsr()
    scaled.eliminate_zeros()
    return scaled


def unit_rows(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale rows to length 1; rows of (almost) nothing become 0."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, values / np.maximum(lengths, 1e-6), 0).astype(np.float32)
