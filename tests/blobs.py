"""Blobs of the feature store, written byte by byte as :mod:`contracts.features` describes them."""

from __future__ import annotations


def pack_play(second: int, track: int, ratio: int, flags: int) -> bytes:
    """Return the 14 bytes of one play."""
    return (
        second.to_bytes(4, "big") + track.to_bytes(8, "big") + bytes((ratio & 0xFF, flags & 0xFF))
    )
