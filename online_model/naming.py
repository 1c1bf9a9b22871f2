"""The names of tracks that a call of ``learn_plays`` meets.

The kernel registers a track itself, right before the play that brings it: a call from Python for
each new track costs as much as learning two plays. So their keys are laid out in arrays before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from online_model.learning import Names


class TrackNames(NamedTuple):
    """What is known of a track from its names.

    Attributes
    ----------
    id_key, artist_key
        64-bit keys of the public id and the artist (:mod:`contracts.ids`); 0 is unknown.
    document
        Pre-encoded JSON object, spliced into answers as it is; empty: none.
    """

    id_key: int = 0
    artist_key: int = 0
    document: bytes = b""


class Naming:
    """Names by position in one call, as the kernel takes them.

    Parameters
    ----------
    plays
        Plays of the call.
    name
        Returns the names of the track of a play; ``None``: no track has names.

    Attributes
    ----------
    met
        How many plays brought a new track so far.
    """

    def __init__(self, plays: int, name: Callable[[int], TrackNames] | None) -> None:
        self._name = name
        self._documents: dict[int, bytes] = {}
        self.met = 0
        self.names = Names(
            ready=np.full(plays, name is None),
            publics=np.zeros(plays, np.uint64),
            artists=np.zeros(plays, np.uint64),
            met=np.full(plays, -1, np.int32),
        )

    def prepare(self, positions: list[int]) -> None:
        """Ask for the names of tracks that have no row."""
        if self._name is None:
            return
        for k in positions:
            names = self._name(k)
            self.names.publics[k], self.names.artists[k] = names.id_key, names.artist_key
            self.names.ready[k] = True
            self._documents[k] = names.document

    def documents(self) -> Iterator[tuple[int, bytes]]:
        """Yield row and document of the tracks met since the last call, in the plays' order."""
        rows = self.names.met
        found = np.flatnonzero(rows >= 0)
        self.met += len(found)
        for k in found.tolist():
            if document := self._documents.get(k):
                yield int(rows[k]), document
        rows[found] = -1
