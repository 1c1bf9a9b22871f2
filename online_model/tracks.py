"""What a model knows of tracks: names, documents, and the neighbour tables filled by others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from contracts.batch_view import BatchView
from online_model.arrays import ModelArrays
from online_model.artists import join_artist
from online_model.documents import read_document, store_document
from online_model.eviction import make_room
from online_model.hashing import find_all
from online_model.learning import register
from online_model.outside import fill_table, room_for_unheard
from online_model.state import BATCH_VIEW, CONTENT_VIEW, Array

Keys = Sequence[int] | npt.NDArray[np.uint64]


def as_keys(keys: Keys) -> npt.NDArray[np.uint64]:
    """Return keys as compiled code takes them, u64, shape (n,)."""
    return np.ascontiguousarray(keys, np.uint64)


class NamedTracks(ModelArrays):
    """Finds tracks by their keys, and keeps a document of each."""

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

        Examples
        --------
        >>> from online_model import ModelConfig, Recommender
        >>> model = Recommender(ModelConfig(tracks=100, listeners=100))
        >>> row = model.register_track(10, id_key=99, document=b'{"title":"Run"}')
        >>> model.lookup([10, 99, 7]).tolist() == [row, row, -1], model.document(row)
        (True, b'{"title":"Run"}')
        """
        self._must_write()
        state = self._state
        row = register(state, np.uint64(key), np.uint64(id_key))
        if row < 0:
            make_room(self._state)
            row = register(state, np.uint64(key), np.uint64(id_key))
        if artist_key and not state.artist[row]:
            join_artist(state, row, np.uint64(artist_key))
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


class FilledTables(NamedTracks):
    """Takes in the tables ``batch`` and ``content``, which are computed elsewhere."""

    @property
    def views(self) -> dict[str, int]:
        """Generations of the views in the tables ``batch`` and ``content``; 0: no view."""
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

        A track that has a content document but no play yet gets a row while the model has room,
        so that lists can show it to listeners of similar tracks.
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
