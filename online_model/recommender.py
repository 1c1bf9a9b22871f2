"""The recommender: River's interface outside, arrays and compiled kernels inside."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from river.reco.base import Ranker

from contracts.batch_view import BatchView
from contracts.ids import id_key, track_key, user_key
from online_model import snapshots
from online_model.config import ModelConfig
from online_model.creation import fresh_state
from online_model.diversity import spread
from online_model.documents import read_document, store_document
from online_model.errors import ReadOnlyModel
from online_model.eviction import forget_listeners, make_room
from online_model.explaining import Reason, explain_slots
from online_model.exploration import IN_LINE
from online_model.exploration import explore as draw_places
from online_model.features import FEATURES
from online_model.hashing import find, find_all
from online_model.health import health
from online_model.learning import learn_batch, register
from online_model.many import Lists, rank_blobs
from online_model.offsets import read_offsets, write_offset
from online_model.outside import fill_table, room_for_unheard
from online_model.ranking import LearnStats, Ranking
from online_model.scratch import Scratch, new_scratch
from online_model.serving import score_rows, serve
from online_model.similar import similar_tracks, trending_tracks
from online_model.state import (
    BATCH_VIEW,
    CLOCK,
    CONTENT_VIEW,
    DUPLICATES,
    GENERATION,
    LATE,
    PLAYS,
    TRACKS,
    Array,
    State,
    as_readonly,
)

Keys = Sequence[int] | npt.NDArray[np.uint64]
_NO_KEYS = np.zeros(0, np.uint64)


class Recommender(Ranker):
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
        super().__init__(seed=None)
        self.config = config
        # The arrays are working state, not a setting: a clone starts with arrays of its own.
        self.arrays: State | None = None
        self._config = config or ModelConfig()
        self._adopt(fresh_state(self._config) if arrays is None else arrays)

    def _adopt(self, state: State) -> None:
        self._state = state
        self._reading = as_readonly(state)
        self._scratch: Scratch = new_scratch(self._config)
        self._rooms: dict[tuple[int, int], tuple[Array, Array, Array, Array, Array]] = {}

    def adopt(self, config: ModelConfig, state: State) -> None:
        """Go on with other arrays, as a reader does when a new live file is published."""
        self._config = config
        self._adopt(state)

    # ---------------------------------------------------------------- state
    @property
    def state(self) -> State:
        """The arrays themselves; read-only in a reader."""
        return self._state

    @property
    def scratch(self) -> Scratch:
        """Working memory of this object; after a list it holds the candidates and features."""
        return self._scratch

    @property
    def settings(self) -> ModelConfig:
        """The configuration in force."""
        return self._config

    @property
    def read_only(self) -> bool:
        """Whether this is a view of another process's model."""
        return not self._state.counters.flags.writeable

    @property
    def generation(self) -> int:
        """Number of the live file, higher for each restart of the learner."""
        return int(self._state.counters[GENERATION])

    @property
    def plays_learned(self) -> int:
        """Plays learned as transitions since the model was created."""
        return int(self._state.counters[PLAYS])

    @property
    def clock(self) -> int:
        """Newest second learned, seconds since the epoch; 0 before the first play."""
        return int(self._state.counters[CLOCK])

    @property
    def tracks(self) -> int:
        """Track rows in use."""
        return min(int(self._state.counters[TRACKS]), self._config.tracks)

    @property
    def offsets(self) -> dict[tuple[str, int], int]:
        """``{(log_id, partition): offset}`` up to which the model has learned."""
        return read_offsets(self._state)

    def set_offset(self, log_id: str, partition: int, offset: int) -> None:
        """Record how far a partition of a log has been learned."""
        self._must_write()
        write_offset(self._state, log_id, partition, offset)

    def _must_write(self) -> None:
        if self.read_only:
            raise ReadOnlyModel

    # ---------------------------------------------------------------- tracks
    def register_track(
        self, key: int, *, id_key: int = 0, artist_key: int = 0, document: bytes = b""
    ) -> int:
        """Return the row of a track, new if need be, and complete what is known of it.

        Parameters
        ----------
        key, id_key, artist_key
            64-bit keys of the names, the public id and the artist (:mod:`contracts.ids`); 0 is
            unknown. Either of the first two finds the track later.
        document
            Pre-encoded JSON object, spliced into answers as it is.
        """
        self._must_write()
        state = self._state
        row = register(state, np.uint64(key), np.uint64(id_key))
        if row < 0:
            self._make_room()
            row = register(state, np.uint64(key), np.uint64(id_key))
        if artist_key and not state.artist[row]:
            state.artist[row] = artist_key
        if document and not state.document_size[row]:
            store_document(state, row, document)
        return int(row)

    def lookup(self, keys: Keys) -> npt.NDArray[np.int32]:
        """Return the rows of keys, i32, shape (n,); -1 where unknown."""
        wanted = _keys(keys)
        rows = np.empty(len(wanted), np.int32)
        find_all(
            self._reading.alias_keys,
            self._reading.alias_rows,
            wanted,
            self.tracks,
            rows,
        )
        return rows

    def document(self, index: int) -> bytes:
        """Return the document of a row, ``b""`` where there is none."""
        return read_document(self._state, int(index))

    def document_marks(self, indices: Array) -> Array:
        """Return a number for each row that changes with its document, u64; 0 where it has none.

        By it a reader knows a document it has read before, also after the row was given to another
        track.
        """
        state = self._state
        size = state.document_size[indices].astype(np.uint64)
        return np.where(size > 0, state.document_crc[indices].astype(np.uint64) << 32 | size, 0)

    # ---------------------------------------------------------------- tables filled by others
    @property
    def views(self) -> dict[str, int]:
        """Generations of the views the tables ``batch`` and ``content`` came from; 0 is none."""
        counters = self._state.counters
        return {"batch": int(counters[BATCH_VIEW]), "content": int(counters[CONTENT_VIEW])}

    def set_batch_table(self, view: BatchView) -> int:
        """Replace the table of the nightly model; return how many tracks have a row in it.

        Tracks the model does not know are left out; call again when it has met more of them.
        """
        self._must_write()
        state = self._state
        filled = fill_table(state.batch_ids, state.batch_weights, self.lookup(view.keys), view)
        state.counters[BATCH_VIEW] = view.manifest.generation
        return filled

    def set_content_table(self, view: BatchView) -> int:
        """Replace the table of content; return how many tracks have a row in it.

        Tracks that come with a document get a row ahead of their first play while the model has
        room to spare, so that they can be shown to listeners of what they resemble.
        """
        self._must_write()
        state = self._state
        rows = self.lookup(view.keys)
        if view.descriptions is not None:
            known = view.descriptions
            described = [k for k in np.flatnonzero(rows < 0).tolist() if known.documents[k]]
            for k in described[: room_for_unheard(state)]:
                rows[k] = self.register_track(
                    int(view.keys[k]),
                    id_key=int(known.id_keys[k]),
                    artist_key=int(known.artist_keys[k]),
                    document=known.documents[k],
                )
        filled = fill_table(state.content_ids, state.content_weights, rows, view)
        state.counters[CONTENT_VIEW] = view.manifest.generation
        return filled

    # ---------------------------------------------------------------- learning
    def learn_plays(
        self,
        users: npt.NDArray[np.uint64],
        tracks: npt.NDArray[np.uint64],
        seconds: npt.NDArray[np.int64],
        ratios: npt.NDArray[np.uint8],
    ) -> LearnStats:
        """Learn plays in stream order.

        Parameters
        ----------
        users, tracks
            64-bit keys, shape (n,). Unknown ones get rows.
        seconds
            Start of each play, seconds since the epoch, shape (n,).
        ratios
            Share of the track that was played, per cent up to 254, 255 unknown, shape (n,).

        Returns
        -------
        LearnStats
            How many plays were learned, were known already, or came late.
        """
        self._must_write()
        counters = self._state.counters
        before = counters[[PLAYS, DUPLICATES, LATE]].copy()
        u, t = _keys(users), _keys(tracks)
        s = np.ascontiguousarray(seconds, np.int64)
        r = np.ascontiguousarray(ratios, np.uint8)
        kinds = np.zeros(len(u), np.uint8)
        done = 0
        while done < len(u):
            done = learn_batch(self._state, self._scratch, u, t, s, r, done, kinds)
            if done < len(u):
                self._make_room()
        learned, duplicates, late = (counters[[PLAYS, DUPLICATES, LATE]] - before).tolist()
        return LearnStats(learned, duplicates, late)

    def _make_room(self) -> None:
        make_room(self._state)

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

    def erase_listener(self, user: int) -> bool:
        """Forget a listener's row: key, window and running session; return whether there was one.

        What the listener's plays taught the shared tables names nobody and stays.
        """
        self._must_write()
        row = int(find(self._state.listener_keys, self._state.listener_rows, np.uint64(user)))
        if row < 0:
            return False
        forget_listeners(self._state, np.array([row], np.int64))
        return True

    # ---------------------------------------------------------------- ranking
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

    def window(self, user: int) -> tuple[Array, Array, Array]:
        """Return a listener's plays, oldest first: rows i32, seconds i64, ratios u8."""
        state = self._state
        row = int(
            find(
                self._reading.listener_keys,
                self._reading.listener_rows,
                np.uint64(user),
            )
        )
        if not 0 <= row < len(state.window_size):
            row, n = 0, 0
        else:
            n = min(max(int(state.window_size[row]), 0), self._config.history)
        return (
            state.window_tracks[row, :n].copy(),
            state.window_seconds[row, :n].astype(np.int64),
            state.window_ratios[row, :n].copy(),
        )

    def recommend(
        self,
        tracks: Keys,
        seconds: Sequence[int] | npt.NDArray[np.int64],
        ratios: Sequence[int] | npt.NDArray[np.uint8],
        *,
        now: int,
        k: int = 20,
        discover: bool = False,
        hidden: Keys = (),
        seed: int | None = None,
        artist_cap: int | None = None,
        just_played: int = 1,
        diversity: float = 0.0,
        explore: float = 0.0,
        draw: int = 0,
        explain: bool = False,
    ) -> Ranking:
        """Recommend for a window of plays that the caller holds; no state changes.

        Parameters
        ----------
        tracks, seconds, ratios
            The listener's plays, oldest first: keys, seconds since the epoch, per cent or 255.
        now
            The second for which to recommend.
        k
            Most tracks to return.
        discover
            Leave out every track of the window.
        hidden
            Keys of tracks never to show.
        seed
            Key of a track to go on from, as if it had just been played.
        artist_cap
            Most tracks of one artist; None for no limit.
        just_played
            Leave out the newest plays of the window, this many.
        diversity
            0 ranks by score alone; up to 1 more and more of the list goes to tracks unlike those
            above them (:mod:`online_model.diversity`).
        explore, draw
            Probability with which a place shows a track from further down, and the seed of the
            draws; the chances are in ``Ranking.propensities``.
        explain
            Fill ``Ranking.reasons``.
        """
        t, s = _keys(tracks), np.ascontiguousarray(seconds, np.int64)
        r = np.ascontiguousarray(ratios, np.uint8)
        if seed is not None:
            t = np.append(t, np.uint64(seed))
            s = np.append(s, np.int64(now))
            r = np.append(r, np.uint8(255))
        cap = artist_cap or 0
        length = k + IN_LINE if explore > 0.0 else k
        if diversity > 0.0:
            length = max(length, 3 * k + 20)
        pool, slots, indices, scores, features = self._room(length, cap)
        n, known = serve(
            self._reading,
            self._scratch,
            t,
            s,
            r,
            int(now),
            int(discover),
            _keys(hidden) if len(hidden) else _NO_KEYS,
            just_played,
            cap,
            pool,
            slots,
            indices,
            scores,
            features,
        )
        at, propensities = draw_places(n, k, explore, draw)
        if diversity > 0.0:
            at = spread(self._state, indices[:n], scores[:n], k, diversity)[at]
        reasons: tuple[tuple[Reason, ...], ...] = ()
        if explain:
            reasons = tuple(explain_slots(self._state, self._scratch, int(discover), slots[at]))
        return Ranking(
            indices=indices[at],
            scores=scores[at],
            features=features[at],
            propensities=propensities,
            stranger=known == 0,
            reasons=reasons,
        )

    def recommend_blobs(
        self,
        blobs: Sequence[bytes],
        *,
        now: int,
        lengths: Sequence[int],
        discover: Sequence[bool],
    ) -> Lists:
        """Recommend for many listeners at once; each list is the one :meth:`recommend` makes.

        Parameters
        ----------
        blobs
            What the feature store holds of each, sound (:func:`contracts.features.check`).
        lengths
            Most tracks of each list.
        discover
            For each, whether to leave out every track of the window.
        """
        return rank_blobs(self._reading, self._scratch, blobs, lengths, discover, int(now))

    def _room(self, k: int, cap: int) -> tuple[Array, Array, Array, Array, Array]:
        size = k if cap == 0 else 8 * k + 32
        found = self._rooms.get((k, size))
        if found is None:
            found = (
                np.zeros(size, np.int64),
                np.zeros(k, np.int64),
                np.zeros(k, np.int32),
                np.zeros(k, np.float32),
                np.zeros((k, FEATURES), np.float32),
            )
            if len(self._rooms) < 64:
                self._rooms[k, size] = found
        return found

    def health(self, *, drift: bool = True) -> dict[str, Any]:
        """Return how good the lists have been lately, by the learner's own trials."""
        return health(self._state, drift=drift)

    def similar(self, key: int, k: int = 20) -> list[tuple[int, float]]:
        """Return rows and strengths of the tracks most shared by session and listener."""
        row = int(self.lookup(np.array([key], np.uint64))[0])
        return similar_tracks(self._state, row, k) if row >= 0 else []

    def trending(self, now: int, k: int = 20) -> list[tuple[int, float]]:
        """Return rows and scores of the tracks most played lately, against their usual."""
        return trending_tracks(self._state, now, k)

    # ---------------------------------------------------------------- copies
    def freeze(self) -> list[bytes]:
        """Copy the used rows, to be written by :func:`online_model.snapshots.encode`."""
        return snapshots.copy_rows(self._config, self._state)

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
        self._config = settings
        self._adopt(state)


def ratio_code(share: float) -> int:
    """Return the stored code of a played share: per cent, at most 254.

    Examples
    --------
    >>> ratio_code(0.5), ratio_code(7.0)
    (50, 254)
    """
    return min(254, max(0, round(100 * share)))


def _keys(keys: Keys) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(keys, np.uint64)


def _item_keys(item: Hashable, x: Mapping[str, Any]) -> tuple[int, int]:
    public = id_key(str(item))
    if "artist" in x and "title" in x:
        return track_key(str(x["artist"]), str(x["title"])), public
    return public, public
