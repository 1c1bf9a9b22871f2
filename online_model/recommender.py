"""The recommender: River's interface over the model's arrays."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from river.reco.base import Ranker

from contracts.ids import id_key, track_key, user_key
from online_model import snapshots
from online_model.config import ModelConfig
from online_model.creation import fresh_state
from online_model.documents import store_document
from online_model.recommending import RecommendingModel
from online_model.serving import score_rows
from online_model.state import State


class Recommender(RecommendingModel, Ranker):
    """Next-track recommender that learns from every play.

    Bounded neighbour tables, the listener's own history and decayed popularity propose candidates;
    an online ranker learns which source to trust when. All state lies in numpy arrays that other
    processes may map read-only while this one learns (:class:`online_model.ModelDirectory`).

    Parameters
    ----------
    config
        Capacities and constants; the defaults serve any stream.
    arrays
        The arrays of an existing model to work on; new ones in memory by default.

    Examples
    --------
    >>> model = Recommender(ModelConfig(tracks=100, listeners=100))
    >>> for second, track in enumerate(["intro", "verse", "chorus"] * 3):
    ...     model.learn_one("ada", track, x={"played_at": 1_700_000_000 + 200 * second})
    >>> model.rank("ada", {"intro", "verse", "silence"}, x={"played_at": 1_700_001_800})
    ['intro', 'verse', 'silence']
    >>> model.plays_learned
    9
    """

    def __init__(self, config: ModelConfig | None = None, arrays: State | None = None) -> None:
        Ranker.__init__(self, seed=None)
        self.config = config
        # The arrays are working state, not a setting: a clone starts with arrays of its own.
        self.arrays: State | None = None
        settings = config or ModelConfig()
        state = fresh_state(settings) if arrays is None else arrays
        RecommendingModel.__init__(self, settings, state)

    def learn_one(  # type: ignore[override]  # River's Number has no float in it
        self,
        user: Hashable,
        item: Hashable,
        y: float | bool = 1.0,
        x: Mapping[str, Any] | None = None,
    ) -> None:
        """Learn one play.

        Parameters
        ----------
        user, item
            Any ids; their text forms are the identities.
        y
            Reward: zero and below count as a skip.
        x
            May carry ``played_at`` (seconds since the epoch; by default one second after the
            newest play learned), ``ratio`` (share of the track played, 0 to 1), and ``artist``
            and ``title``, by which the same track is known under other ids.
        """
        x = x or {}
        key, public = _item_keys(item, x)
        row = self.register_track(key, id_key=public)
        if not self._state.document_size[row]:
            store_document(self._state, row, json.dumps({"track_id": str(item)}).encode())
        second = int(x.get("played_at", self.clock + 1))
        ratio = x.get("ratio", None if y > 0 else 0.0)
        self.learn_plays(
            np.array([user_key(str(user))], np.uint64),
            np.array([key], np.uint64),
            np.array([second], np.int64),
            np.array([255 if ratio is None else ratio_code(float(ratio))], np.uint8),
        )

    def predict_one(  # type: ignore[override]
        self, user: Hashable, item: Hashable, x: Mapping[str, Any] | None = None
    ) -> float:
        """Return the score of one item, a logit; unknown users and items get no rows."""
        return float(self._score(user, [item], x)[0])

    def rank(
        self,
        user: Hashable,
        items: Iterable[Hashable],
        x: Mapping[str, Any] | None = None,
    ) -> list[Hashable]:
        """Return items by score, highest first; equal scores by the items' text."""
        listed = list(items)
        scores = self._score(user, listed, x)
        order = sorted(range(len(listed)), key=lambda k: (-scores[k], str(listed[k])))
        return [listed[k] for k in order]

    def _score(
        self, user: Hashable, items: list[Hashable], x: Mapping[str, Any] | None
    ) -> npt.NDArray[np.float32]:
        x = x or {}
        rows = self.lookup(np.array([_item_keys(i, {})[1] for i in items], np.uint64))
        tracks, seconds, ratios = self.window(user_key(str(user)))
        out = np.zeros(len(items), np.float32)
        now = int(x.get("played_at", self.clock + 1))
        score_rows(self._reading, self._scratch, tracks, seconds, ratios, now, rows, out)
        return out

    def __getstate__(self) -> dict[str, Any]:
        return {
            "config": self.config,
            "packed": b"".join(snapshots.encode(self._config, self.freeze())),
        }

    def __setstate__(self, saved: dict[str, Any]) -> None:
        settings, state = snapshots.decode(memoryview(saved["packed"]), Path("pickle"))
        Ranker.__init__(self, seed=None)
        self.config = saved["config"]
        self.arrays = None
        self.adopt(settings, state)


def ratio_code(share: float) -> int:
    """Return the stored code of a played share: per cent, at most 254.

    Examples
    --------
    >>> ratio_code(0.5), ratio_code(7.0)
    (50, 254)
    """
    return min(254, max(0, round(100 * share)))


def _item_keys(item: Hashable, x: Mapping[str, Any]) -> tuple[int, int]:
    public = id_key(str(item))
    if "artist" in x and "title" in x:
        return track_key(str(x["artist"]), str(x["title"])), public
    return public, public
