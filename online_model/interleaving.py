"""One list from two rankings, in which plays show which of the two is better (team draft).

Both rankings pick one after the other, as captains pick players: the one that has picked less often
goes first, a coin decides between equals, and each takes its best track that the list does not have
yet (Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM
2008). A play is credited to the ranking that picked the track. Of two equal rankings each expects
half of the plays, regardless of what the listener likes and how often plays come from the top.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Drafted(NamedTuple):
    """A list drafted from two rankings.

    Attributes
    ----------
    teams
        The ranking that picked each track, 0 or 1, u8, shape (n,).
    positions
        Place of the track in that ranking, from 0, i64, shape (n,).
    chances
        Chance with which the place shows this track, given the places above it, f32, shape (n,):
        .5 where a coin decided between two tracks, else 1.
    """

    teams: npt.NDArray[np.uint8]
    positions: npt.NDArray[np.int64]
    chances: npt.NDArray[np.float32]


def draft(
    first: npt.NDArray[np.int32], second: npt.NDArray[np.int32], k: int, draw: int
) -> Drafted:
    """Draft up to ``k`` tracks; the list ends early once a ranking has no track left to pick.

    Parameters
    ----------
    first, second
        Track rows, best first.
    draw
        Seed of the coins: the same number gives the same list.

    Examples
    --------
    >>> one = np.arange(4, dtype=np.int32)
    >>> draft(one, one[::-1].copy(), 4, draw=3).teams.tolist()
    [1, 0, 1, 0]
    """
    generator = np.random.default_rng(draw)
    rankings = (first.tolist(), second.tolist())
    at, picked = [0, 0], [0, 0]
    taken: set[int] = set()
    teams: list[int] = []
    positions: list[int] = []
    chances: list[float] = []
    while len(teams) < k:
        for team in (0, 1):
            while at[team] < len(rankings[team]) and rankings[team][at[team]] in taken:
                at[team] += 1
        if at[0] == len(rankings[0]) or at[1] == len(rankings[1]):
            break
        tracks = rankings[0][at[0]], rankings[1][at[1]]
        equal = picked[0] == picked[1]
        team = int(generator.random() < 0.5) if equal else int(picked[1] < picked[0])
        teams.append(team)
        positions.append(at[team])
        chances.append(0.5 if equal and tracks[0] != tracks[1] else 1.0)
        taken.add(tracks[team])
        picked[team] += 1
    return Drafted(
        np.array(teams, np.uint8), np.array(positions, np.int64), np.array(chances, np.float32)
    )
