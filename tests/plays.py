"""Seeded plays for tests that need many and no data files."""

from __future__ import annotations

import random

import numpy as np

from infra.operations.interactions import InteractionLog


def interactions(
    plays: int, *, listeners: int = 300, tracks: int = 500, seed: int = 1, prefix: str = "u"
) -> InteractionLog:
    """Return plays in time order: listeners walk along albums, a few of them very busy."""
    draw = random.Random(seed)
    where = [draw.randrange(tracks) for _ in range(listeners)]
    users, items, seconds = [], [], []
    now = 1_700_000_000
    for _ in range(plays):
        now += draw.randrange(3)
        listener = min(int(draw.expovariate(8.0) * listeners), listeners - 1)
        jump = draw.random() < 0.2
        where[listener] = (draw.randrange(tracks) if jump else where[listener] + 1) % tracks
        users.append(f"{prefix}{listener}")
        items.append(str(where[listener]))
        seconds.append(now)
    titles = [f"track {item}" for item in items]
    artists = [f"artist {int(item) // 10}" for item in items]
    return InteractionLog(users, items, np.array(seconds, np.int64), artists, titles)
