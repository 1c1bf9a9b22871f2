"""From public track ids to what the model knows of them."""

from __future__ import annotations

import msgspec

from contracts.ids import id_key, track_key
from online_model import Recommender


class Document(msgspec.Struct):
    """What the learner stores of a track, as JSON, ready to be spliced into answers."""

    track_id: str
    artist: str
    title: str


_DOCUMENT = msgspec.json.Decoder(Document)


def document_at(reader: Recommender, index: int) -> Document | None:
    """Return the document of a row, ``None`` where it has none."""
    document = reader.document(index)
    return _DOCUMENT.decode(document) if document else None


def document_of(reader: Recommender | None, track_id: str) -> Document | None:
    """Return the document of a public id, ``None`` for a track the model does not know."""
    if reader is None:
        return None
    index = int(reader.lookup([id_key(track_id)])[0])
    return None if index < 0 else document_at(reader, index)


def document_of_key(reader: Recommender, key: int) -> Document | None:
    """Return the document of a track's 64-bit key, ``None`` for a track the model does not know."""
    index = int(reader.lookup([key])[0])
    return None if index < 0 else document_at(reader, index)


def key_of(reader: Recommender | None, track_id: str) -> int | None:
    """Return the model's key of a public id, ``None`` for an unknown track."""
    document = document_of(reader, track_id)
    return None if document is None else track_key(document.artist, document.title)
