"""Documents of tracks this process has read before, ready to be spliced into answers."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from online_model import Recommender

_MOST = 65_536


class Known(NamedTuple):
    """What a list needs of a track.

    Attributes
    ----------
    mark
        :meth:`online_model.Recommender.document_marks` of the document it was made of.
    opening
        The document up to where the score follows, ``{"track_id":...,"score":``; empty where the
        track has none.
    """

    mark: int
    opening: bytes
    track_id: str


class KnownTracks:
    """Caches documents by row; reads a row again after it was given to another track."""

    def __init__(self) -> None:
        self._known: dict[int, Known] = {}

    def of(self, reader: Recommender, indices: npt.NDArray[np.int32]) -> list[Known]:
        """Return what is known of the tracks of rows, in their order."""
        known = self._known
        found = []
        marks = reader.document_marks(indices).tolist()
        for row, mark in zip(indices.tolist(), marks, strict=True):
            track = known.get(row)
            if track is None or track.mark != mark:
                track = self._read(reader, row, mark)
            found.append(track)
        return found

    def _read(self, reader: Recommender, row: int, mark: int) -> Known:
        document = reader.document(row)
        if not document:
            return Known(0, b"", "")  # none, or just being written
        track = Known(
            mark, document[:-1] + b',"score":', str(msgspec.json.decode(document)["track_id"])
        )
        # Remembered only if the document is still the one the mark was of.
        if reader.document_marks(np.array([row], np.int32)).tolist() == [mark]:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[row] = track
        return track
