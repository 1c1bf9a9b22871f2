"""Made-up views for the tests of the tables that others fill."""

from __future__ import annotations

import numpy as np

from contracts.batch_view import BatchView, Descriptions, Manifest


def view(
    rows: dict[int, dict[int, float]],
    *,
    generation: int = 1,
    slots: int = 3,
    described: tuple[int, ...] = (),
) -> BatchView:
    """Return a view of ``{track key: {neighbour key: weight}}``, some tracks with a document."""
    keys = sorted(set(rows) | {k for row in rows.values() for k in row})
    at = {key: k for k, key in enumerate(keys)}
    neighbours = np.full((len(keys), slots), -1, np.int32)
    weights = np.zeros((len(keys), slots), np.float32)
    for key, row in rows.items():
        for slot, (other, weight) in enumerate(row.items()):
            neighbours[at[key], slot], weights[at[key], slot] = at[other], weight
    told = None
    if described:
        documents = [b'{"track_id":"%d"}' % k if k in described else b"" for k in keys]
        artists = np.array([3 if k in described else 0 for k in keys], np.uint64)
        told = Descriptions(np.array(keys, np.uint64) + np.uint64(10**9), artists, documents)
    manifest = Manifest(
        generation=generation,
        algorithm="made up",
        trained_at="2025-01-01T00:00:00+00:00",
        lake_version=None,
        plays_until=0,
        listeners=1,
        tracks=len(keys),
        metrics={},
    )
    return BatchView(np.array(keys, np.uint64), neighbours, weights, manifest, told)
