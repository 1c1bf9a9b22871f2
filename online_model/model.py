"""A model: its arrays, what is written into them, and what can be looked up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from contracts.batch_view import BatchView
from online_model import snapshots
from online_model.config import ModelConfig
from online_model.documents import read_document, store_document
from online_model.errors import ReadOnlyModel
from online_model.eviction import forget_listeners, make_room
from online_model.hashing import find, find_all
from online_model.learning import learn_batch, register
from online_model.offsets import read_offsets, write_offset
from online_model.outside import fill_table, room_for_unheard
from online_model.ranking import LearnStats
from online_model.scratch import Scratch, new_scratch
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


class Model:
    """Arrays that learn from plays, and may be mapped read-only by others meanwhile.

    Parameters
    ----------
    config
        Capacities and constants the arrays were made for.
    state
        The arrays to work on.
    """

    def __init__(self, config: ModelConfig, state: State) -> None:
        self.adopt(config, state)

    def adopt(self, config: ModelConfig, state: State) -> None:
        """Go on with other arrays, as a reader does when a new live file is published."""
        self._config = config
        self._state = state
        self._reading = as_readonly(state)
        self._scratch: Scratch = new_scratch(config)

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
            make_room(self._state)
            row = register(state, np.uint64(key), np.uint64(id_key))
        if artist_key and not state.artist[row]:
            state.artist[row] = artist_key
        if document and not state.document_size[row]:
            store_document(state, row, document)
        return int(row)

    def lookup(self, keys: Keys) -> npt.NDArray[np.int32]:
        """Return the rows of keys, i32, shape (n,); -1 where unknown."""
        wanted = as_keys(keys)
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
        u, t = as_keys(users), as_keys(tracks)
        s = np.ascontiguousarray(seconds, np.int64)
        r = np.ascontiguousarray(ratios, np.uint8)
        kinds = np.zeros(len(u), np.uint8)
        done = 0
        while done < len(u):
            done = learn_batch(self._state, self._scratch, u, t, s, r, done, kinds)
            if done < len(u):
                make_room(self._state)
        learned, duplicates, late = (counters[[PLAYS, DUPLICATES, LATE]] - before).tolist()
        return LearnStats(learned, duplicates, late)

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

    # ---------------------------------------------------------------- copies
    def freeze(self) -> list[bytes]:
        """Copy the used rows, to be written by :func:`online_model.snapshots.encode`."""
        return snapshots.copy_rows(self._config, self._state)


def as_keys(keys: Keys) -> npt.NDArray[np.uint64]:
    """Return keys as compiled code takes them, u64, shape (n,)."""
    return np.ascontiguousarray(keys, np.uint64)
