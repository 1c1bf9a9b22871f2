"""The places of lists that explored, read from the warehouse and made again from their log.

An impression carries all that chance decided: its id is the seed of the draws, and the propensities
show with what share the list explored and how many tracks were in line. So the draws are made
again, and show from how far down each track came. A list whose propensities do not come out the
same (a track without a name was left out of it) is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from batch.ask import Ask
from online_model.exploration import IN_LINE, explore, seed_of

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Places:
    """Places of lists that were shown, list after list, from the top.

    Attributes
    ----------
    listener, list
        Numbers of the listener, which is the unit drawn again for intervals, and of the list; shape
        ``(n,)``.
    place
        From 0, shape ``(n,)``.
    depth
        How far below the list the track stood that was shown by chance, from 0; -1: the ranker's
        own track. Shape ``(n,)``.
    line
        Tracks in line below the list when it was made, shape ``(n,)``.
    share
        Probability with which the list explored, shape ``(n,)``.
    propensity
        Chance of the track at its place, shape ``(n,)``.
    hit
        Whether the track was played, 0 or 1, shape ``(n,)``.
    left_out
        Lists that could not be made again.
    """

    listener: Numbers
    list: Numbers
    place: Numbers
    depth: Numbers
    line: Numbers
    share: Array
    propensity: Array
    hit: Array
    left_out: int = 0

    @classmethod
    def of(cls, columns: Array, left_out: int = 0) -> Places:
        """Return places from numbers in the order of the attributes, shape ``(8, n)``."""
        listener, number, place, depth, line = columns[:5].astype(np.int64)
        share, propensity, hit = columns[5:]
        return cls(listener, number, place, depth, line, share, propensity, hit, left_out)

    @property
    def explored(self) -> npt.NDArray[np.bool_]:
        """Whether the place was filled by chance, shape ``(n,)``."""
        return np.asarray(self.depth >= 0)

    def above(self, values: Array) -> Array:
        """Return, for each place, the sum of values over the places above it in its list."""
        if not len(values):
            return values
        before = np.cumsum(values) - values
        first = np.flatnonzero(np.append(True, self.list[1:] != self.list[:-1]))
        length = np.diff(np.append(first, len(values)))
        return np.asarray(before - np.repeat(before[first], length))


#: Every place of the lists that explored with a share below half, list after list.
_LOGGED = """
with lists as (
    select impression_id
    from marts.fct_recommendation_outcomes
    group by impression_id
    having max(propensity) < 1 and max(propensity) > 0.5
)
select o.impression_id, dense_rank() over (order by o.user_id), o.propensity,
    case when o.is_hit then 1.0 else 0.0 end
from marts.fct_recommendation_outcomes as o
inner join lists on o.impression_id = lists.impression_id
order by o.impression_id, o.position
"""


def logged(ask: Ask) -> Places:
    """Return the places of every list in the warehouse that explored with a share below half."""
    rows: list[tuple[float, ...]] = []
    lists = left_out = 0
    for impression, places in groupby(ask(_LOGGED), key=lambda row: row[0]):
        found = list(places)
        propensity = np.array([float(row[2]) for row in found])
        made = made_again(impression, propensity)
        if made is None:
            left_out += 1
            continue
        depth, line = made
        share = 1.0 - float(propensity.max())
        for place, (row, below) in enumerate(zip(found, depth.tolist(), strict=True)):
            rows.append((row[1], lists, place, below, line, share, propensity[place], row[3]))
        lists += 1
    columns = np.array(rows, np.float64).reshape(-1, 8).T
    return Places.of(columns, left_out)


def made_again(impression_id: str, propensity: Array) -> tuple[Numbers, int] | None:
    """Return the depths of a list's places and the tracks in line; ``None``: it does not come out.

    If no place of a list explored, the number in line cannot be computed: it is taken as
    :data:`IN_LINE`, the usual one.
    """
    share, places = 1.0 - float(propensity.max()), len(propensity)
    explored = np.flatnonzero(np.abs(propensity - propensity.max()) > 1e-4)
    line = round(share / float(propensity[explored[0]])) if len(explored) else IN_LINE
    at, chances = explore(places + line, places, share, seed_of(impression_id))
    if len(at) != places or not np.allclose(chances, propensity, rtol=1e-3, atol=1e-6):
        return None
    return np.where(at >= places, at - places, -1), line
