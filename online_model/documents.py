"""Pre-encoded descriptions of tracks, in a heap beside the arrays.

A document is opaque bytes to the model. Each carries its CRC-32, because a reader in another
process may look while the learner writes: a torn read is noticed and answered as unknown.
"""

from __future__ import annotations

import zlib

import numpy as np

from online_model.state import HEAP, State

_STEP = 16


def store_document(state: State, row: int, document: bytes) -> bool:
    """Give a track its document; return False when the heap has no room for it.

    A document that fits where the track's old one lay replaces it there.
    """
    size = len(document)
    room = -(-int(state.document_size[row]) // _STEP) * _STEP
    at = int(state.document_at[row])
    if size > room:
        at = int(state.counters[HEAP])
        end = at + -(-size // _STEP) * _STEP
        if end > len(state.heap):
            compact_documents(state)
            at = int(state.counters[HEAP])
            end = at + -(-size // _STEP) * _STEP
            if end > len(state.heap):
                return False
        state.counters[HEAP] = end
    state.document_size[row] = 0  # readers see no document rather than a mixture
    state.heap[at : at + size] = list(document)
    state.document_at[row] = at
    state.document_crc[row] = zlib.crc32(document)
    state.document_size[row] = size
    return True


def read_document(state: State, row: int) -> bytes:
    """Return a track's document, ``b""`` where there is none."""
    if not 0 <= row < len(state.document_size):
        return b""
    size, at = int(state.document_size[row]), int(state.document_at[row])
    if not 0 < size <= len(state.heap) or not 0 <= at <= len(state.heap) - size:
        return b""
    document: bytes = state.heap[at : at + size].tobytes()
    return document if zlib.crc32(document) == int(state.document_crc[row]) else b""


def compact_documents(state: State) -> None:
    """Close the gaps that forgotten and replaced documents left in the heap."""
    sizes = state.document_size
    rows = np.flatnonzero(sizes > 0)
    at = 0
    for row in rows[np.argsort(state.document_at[rows], kind="stable")].tolist():
        size, start = int(sizes[row]), int(state.document_at[row])
        if start != at:
            state.heap[at : at + size] = state.heap[start : start + size].copy()
            state.document_at[row] = at
        at += -(-size // _STEP) * _STEP
    state.counters[HEAP] = at
