"""One listener, however busy, does not decide what is popular."""

from __future__ import annotations

import numpy as np
import pytest

from online_model import ModelConfig, Recommender

NOW = 1_700_000_000
BOT, HERS = 9_999, 5_000
Row = tuple[int, int, int, int]  # listener, track, second, per cent heard


def crowd(listeners: int) -> list[Row]:
    songs = max(18, listeners)
    return [
        (u + 1, 1_000 + (u + 3 * k) % songs, NOW - 3_000 + 200 * k + u % 60, 95)
        for u in range(listeners)
        for k in range(6)
    ]


LOUD: dict[str, list[Row]] = {
    "3,000 skips of five songs": [(BOT, HERS + k % 5, NOW - 3_000 + k, 0) for k in range(3_000)],
    "3,000 plays of five songs": [(BOT, HERS + k % 5, NOW - 3_000 + k, 95) for k in range(3_000)],
    "one song all night": [(BOT, HERS, NOW - 28_800 + 200 * k, 95) for k in range(144)],
}


@pytest.mark.slow
@pytest.mark.parametrize("listeners", [12, 1_000])
@pytest.mark.parametrize("loud", LOUD)
def test_neither_trending_nor_a_strangers_list_is_led_by_one_listener(
    listeners: int, loud: str
) -> None:
    model = Recommender(ModelConfig(tracks=4_096, listeners=2_048))
    rows = np.array(sorted(crowd(listeners) + LOUD[loud], key=lambda row: row[2]))
    model.learn_plays(
        rows[:, 0].astype(np.uint64),
        rows[:, 1].astype(np.uint64),
        rows[:, 2].astype(np.int64),
        rows[:, 3].astype(np.uint8),
    )
    keys = model.state.track_key
    trending = [int(keys[index]) for index, _ in model.trending(NOW, 10)]
    assert len(trending) == 10
    assert all(key < HERS for key in trending)
    nothing = np.empty(0, np.int64)
    shown = model.recommend(
        nothing.astype(np.uint64), nothing, nothing.astype(np.uint8), now=NOW, k=10
    )
    assert all(int(keys[index]) < HERS for index in shown.indices[:5])
    served = model.state.top[:10]  # what is served while Redis is away
    assert all(int(keys[row]) < HERS for row in served)
