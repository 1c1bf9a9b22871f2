"""Team draft: fair, and each place names who picked its track and with what chance."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from online_model.interleaving import draft

Rankings = st.lists(st.integers(0, 40), unique=True, max_size=15)


@given(Rankings, Rankings, st.integers(1, 12), st.integers(0, 2**62))
def test_a_draft_holds_the_best_tracks_left_of_whoever_picks(
    first: list[int], second: list[int], k: int, draw: int
) -> None:
    orders = [np.array(ids, np.int32) for ids in (first, second)]
    made = draft(orders[0], orders[1], k, draw)
    teams, taken = made.teams.tolist(), []
    for place, (team, at) in enumerate(zip(teams, made.positions.tolist(), strict=True)):
        left = [t for t in orders[team].tolist() if t not in taken]
        assert left[0] == orders[team][at]
        counts = [teams[:place].count(t) for t in (0, 1)]
        assert counts[team] <= counts[1 - team], "nobody picks twice more than the other"
        taken.append(left[0])
    assert len(set(taken)) == len(taken) <= k
    assert set(made.chances.tolist()) <= {0.5, 1.0}
    if len(taken) < k:
        assert any(set(order.tolist()) <= set(taken) for order in orders)
    again = draft(orders[0], orders[1], k, draw)
    assert again.teams.tolist() == teams


def test_coins_are_fair_and_chances_are_what_happens() -> None:
    first, second = np.array([1, 2, 3], np.int32), np.array([4, 2, 5], np.int32)
    lists = [draft(first, second, 3, draw) for draw in range(4_000)]
    assert abs(np.mean([made.teams[0] for made in lists]) - 0.5) < 3 * 0.5 / 4_000**0.5
    assert {made.chances.tolist()[0] for made in lists} == {0.5}
    assert {made.chances.tolist()[1] for made in lists} == {1.0}, "the other one's turn"
