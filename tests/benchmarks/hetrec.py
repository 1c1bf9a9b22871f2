"""HetRec 2011 Last.fm-2k: does knowing the tags help, and where nothing else can?

Tags do not leak into the test: with leave-one-out, a listener's own tags of the held-out artist are
removed; in the cold-start split, the listeners who tag and the listeners who are tested are
different people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import asdict
from scipy import sparse

from batch.catalogue.hetrec import read
from batch.content.vectors import Vectors, weigh
from tests.benchmarks.tagged_ease import ease

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
#: EASE sees artists with at least so many listeners; below that there is nothing to learn.
_FEWEST = 3
#: How much the likeness of content adds to the joint model's scores.
_CONTENT_SHARE = 0.1


def run(file: Path) -> dict[str, Any]:
    """Measure whether tags help: one artist hidden of every listener, and artists nobody played.

    Takes about a minute.

    Parameters
    ----------
    file
        Folder of the HetRec tables (hetrec_*.parquet).
    """
    data = Data.load(file)
    return {
        "leave-one-out": {name: asdict(score) for name, score in leave_one_out(data).items()},
        "cold start": {name: asdict(score) for name, score in cold_start(data).items()},
    }


class Score(msgspec.Struct):
    """Quality of one model over the test listeners; ties count against it."""

    hr10: float
    ndcg10: float
    tested: int


@dataclass(frozen=True, slots=True)
class Data:
    """The set in numbers: listens ``(user, item)`` and taggings ``(tagger, tagged, tag)``."""

    user: Ints
    item: Ints
    tagger: Ints
    tagged: Ints
    tag: Ints
    n_users: int
    n_items: int

    @classmethod
    def load(cls, folder: Path) -> Data:
        """Read the set; users and artists are numbered in the order of the listens file."""
        listens = read(folder, "hetrec_user_artists.parquet")
        given = read(folder, "hetrec_user_taggedartists.parquet")
        user, users = _number(listens["user_id"].to_pylist())
        item, items = _number(listens["artist_id"].to_pylist())
        tagger = np.array([users.get(u, -1) for u in given["user_id"].to_pylist()])
        tagged = np.array([items.get(a, -1) for a in given["artist_id"].to_pylist()])
        tag, _ = _number(given["tag_id"].to_pylist())
        known = (tagger >= 0) & (tagged >= 0)
        return cls(
            user, item, tagger[known], tagged[known], tag[known], len(users), len(items)
        )  # fmt: skip

    def matrix(self, rows: npt.NDArray[np.bool_]) -> sparse.csr_matrix:
        """Return listens as a matrix ``(users, items)`` of ones."""
        ones = np.ones(int(rows.sum()), np.float32)
        shape = (self.n_users, self.n_items)
        return sparse.csr_matrix((ones, (self.user[rows], self.item[rows])), shape)

    def weights(self, rows: npt.NDArray[np.bool_]) -> sparse.csr_matrix:
        """Return the tf-idf weights of some taggings."""
        ones = np.ones(int(rows.sum()), np.float32)
        return weigh(self.tagged[rows], self.tag[rows], ones, self.n_items)

    def vectors(self, rows: npt.NDArray[np.bool_]) -> Vectors:
        """Return item vectors from some taggings."""
        ones = np.ones(int(rows.sum()), np.float32)
        return Vectors.from_tags(self.tagged[rows], self.tag[rows], ones, self.n_items)


def _number(values: list[int]) -> tuple[Ints, dict[int, int]]:
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values]), numbers


def leave_one_out(data: Data) -> dict[str, Score]:
    """Hide one artist of every listener with five or more; rank all artists not heard."""
    rng = np.random.default_rng(0)
    hidden = np.zeros(len(data.user), bool)
    for user in range(data.n_users):
        own = np.flatnonzero(data.user == user)
        if len(own) >= 5:
            hidden[rng.choice(own)] = True
    listens, users, truth = data.matrix(~hidden), data.user[hidden], data.item[hidden]
    held = set(zip(users.tolist(), truth.tolist(), strict=True))
    told = np.array([p in held for p in zip(data.tagger.tolist(), data.tagged.tolist(),
                                            strict=True)])  # fmt: skip
    heard = listens[users]
    popularity = np.asarray(listens.sum(axis=0)).ravel().astype(np.float32)
    kept = np.flatnonzero(popularity >= _FEWEST)
    likeness = _likeness(heard, data.vectors(~told))

    def by_ease(tags: sparse.csr_matrix | None) -> Floats:
        scores = np.full((len(users), data.n_items), -1.0, np.float32)
        scores[:, kept] = heard[:, kept] @ ease(listens[:, kept], tags=tags)
        return scores

    joint = by_ease(data.weights(~told)[kept])
    # Artists EASE does not see are ranked by content alone, below those it is sure of.
    joint[:, popularity < _FEWEST] = 0
    models: dict[str, Callable[[], Floats]] = {
        "popularity": lambda: np.tile(popularity, (len(users), 1)),
        "content": lambda: likeness,
        "content x popularity": lambda: likeness * np.log1p(1 + popularity),
        "collaborative (EASE)": lambda: by_ease(None),
        "hybrid": lambda: joint + _CONTENT_SHARE * likeness,
    }
    return {name: _score(make(), heard, truth) for name, make in models.items()}


def cold_start(data: Data) -> dict[str, Score]:
    """Hide every listen of a tenth of the artists; tag with half of the listeners, test the others.

    Each listen of a hidden artist by a listener of the second half is a test: where does that
    artist stand among all hidden artists? Popularity can only be how often an artist was tagged.
    """
    rng = np.random.default_rng(0)
    listeners = np.bincount(data.item, minlength=data.n_items)
    gives_tags = rng.random(data.n_users) < 0.5
    taggings = gives_tags[data.tagger]
    weights = data.weights(taggings)
    tagged = np.diff(weights.indptr) > 0
    fit = np.flatnonzero((listeners >= _FEWEST) & tagged)
    cold = np.zeros(data.n_items, bool)
    cold[rng.choice(fit, len(fit) // 10, replace=False)] = True
    listens = data.matrix(~cold[data.item])
    test = cold[data.item] & ~gives_tags[data.user]
    users, truth = data.user[test], data.item[test]
    heard = listens[users]
    times_tagged = np.bincount(data.tagged[taggings], minlength=data.n_items).astype(np.float32)
    likeness = _likeness(heard, data.vectors(taggings), only=cold)
    tagged_often = times_tagged[cold]
    models = {
        "chance": rng.random(likeness.shape).astype(np.float32),
        "popularity (times tagged)": np.tile(tagged_often, (len(users), 1)),
        "content": likeness,
        "content x times tagged": likeness * np.log1p(tagged_often),
    }
    place = np.cumsum(cold) - 1  # column of a hidden artist among the hidden ones
    nothing = sparse.csr_matrix(likeness.shape, dtype=np.float32)
    return {name: _score(scores, nothing, place[truth]) for name, scores in models.items()}


def _likeness(
    heard: sparse.csr_matrix, vectors: Vectors, only: npt.NDArray[np.bool_] | None = None
) -> Floats:
    """Return the mean cosine of artists (all, or some) to what each listener heard."""
    count = np.maximum(np.asarray(heard.sum(axis=1)), 1)
    columns = np.ones(len(vectors.known), bool) if only is None else only
    likeness: Floats = ((heard @ vectors.values) / count) @ vectors.values[columns].T
    likeness[:, ~vectors.known[columns]] = -1  # nothing is known: never before something that is
    return likeness


def _score(scores: Floats, heard: sparse.csr_matrix, truth: Ints) -> Score:
    scores = scores.copy()
    scores[heard.nonzero()] = -np.inf
    own = scores[np.arange(len(truth)), truth]
    rank = (scores >= own[:, None]).sum(axis=1)
    gain = np.where(rank <= 10, 1 / np.log2(1 + rank), 0)
    return Score(round(float((rank <= 10).mean()), 4), round(float(gain.mean()), 4), len(truth))
