"""A model that learns from plays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from online_model.documents import store_document
from online_model.eviction import forget_listeners, make_room
from online_model.hashing import find
from online_model.learning import learn_batch
from online_model.naming import Naming, TrackNames
from online_model.ranking import LearnStats
from online_model.state import DUPLICATES, LATE, PLAYS, Array
from online_model.tracks import FilledTables, as_keys


class Model(FilledTables):
    """Learns plays in stream order, and holds each listener's window of plays."""

    def learn_plays(
        self,
        users: npt.NDArray[np.uint64],
        tracks: npt.NDArray[np.uint64],
        seconds: npt.NDArray[np.int64],
        ratios: npt.NDArray[np.uint8],
        *,
        name: Callable[[int], TrackNames] | None = None,
    ) -> LearnStats:
        """Learn plays in stream order.

        The result depends on the sequence of plays only, not on how it is cut into calls.

        Parameters
        ----------
        users, tracks
            64-bit keys, shape (n,). Unknown ones get rows.
        seconds
            Start of each play, seconds since the epoch, shape (n,).
        ratios
            Share of the track that was played, per cent up to 254, 255 unknown, shape (n,).
        name
            Returns the names of the track of a play, by position; called for plays whose track
            has no row. The track is registered right before the play is learned: registered
            earlier, it would be a candidate among the tracks of its artist.

        Returns
        -------
        LearnStats
            How many plays were learned, were known already, or came late, and how many tracks
            were met.

        Examples
        --------
        >>> from online_model import ModelConfig, Recommender
        >>> model = Recommender(ModelConfig(tracks=100, listeners=100))
        >>> users, tracks = np.array([1, 1, 1], np.uint64), np.array([10, 10, 11], np.uint64)
        >>> model.learn_plays(users, tracks, np.array([500, 500, 200]), np.full(3, 255, np.uint8))
        LearnStats(learned=1, duplicates=1, late=1, met=2)
        """
        self._must_write()
        counters = self._state.counters
        before = counters[[PLAYS, DUPLICATES, LATE]].copy()
        u, t = as_keys(users), as_keys(tracks)
        s = np.ascontiguousarray(seconds, np.int64)
        r = np.ascontiguousarray(ratios, np.uint8)
        naming = Naming(len(u), name)
        if name is not None:
            naming.prepare(np.flatnonzero(self.lookup(t) < 0).tolist())
        done = 0
        while done < len(u):
            done = learn_batch(self._state, self._scratch, u, t, s, r, naming.names, done)
            for row, document in naming.documents():  # before a row is given to another track
                if not self._state.document_size[row]:
                    store_document(self._state, row, document)
            if done == len(u):
                break
            if naming.names.ready[done]:
                make_room(self._state)
            else:  # the track lost its row in this call; or a listener has none: next turn
                naming.prepare([done])
        learned, duplicates, late = (counters[[PLAYS, DUPLICATES, LATE]] - before).tolist()
        return LearnStats(learned, duplicates, late, naming.met)

    def erase_listener(self, user: int) -> bool:
        """Forget a listener's row: key and window; return whether there was one.

        What the listener's plays taught the shared tables names nobody and stays.
        """
        self._must_write()
        row = int(find(self._state.listener_keys, self._state.listener_rows, np.uint64(user)))
        if row < 0:
            return False
        forget_listeners(self._state, np.array([row], np.int64))
        return True

    def window(self, user: int) -> tuple[Array, Array, Array]:
        """Return a listener's plays, oldest first: rows i32, seconds i64, ratios u8.

        Examples
        --------
        >>> from online_model import ModelConfig, Recommender
        >>> model = Recommender(ModelConfig(tracks=100, listeners=100))
        >>> stats = model.learn_plays(np.array([1], np.uint64), np.array([10], np.uint64),
        ...                           np.array([500]), np.array([90], np.uint8))
        >>> [column.tolist() for column in model.window(1)]
        [[0], [500], [90]]
        """
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
