"""Put randomly drawn tracks at a small share of places, and return the probability of each.

Without random draws the model never learns about a track that no list shows, and the impressions of
this ranking cannot be used to estimate the value of another one. Each place explores with
probability ``share``: it shows a track drawn with equal probability from the :data:`IN_LINE` tracks
that rank just below the list. The logged propensity is the probability of this track at this place
given the places above (Li et al., "Unbiased offline evaluation of contextual-bandit-based news
article recommendation algorithms", WSDM 2011).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IN_LINE = 50
"""Tracks below the list from which exploration draws."""


def seed_of(impression_id: str) -> int:
    """Return the seed of every random draw in a list, so that the log can be used to repeat them.

    Examples
    --------
    >>> seed_of("00000000-0000-4000-8000-000000000000")
    16384
    """
    return int(impression_id.replace("-", "")[:16], 16)


def explore(
    found: int, k: int, share: float, draw: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return positions of a longer ranked list to show, and their propensities.

    Once no track is left in line, a place shows its own track with certainty: propensity 1.

    Parameters
    ----------
    found
        Length of the ranked list, at best ``k + IN_LINE``.
    k
        Places to fill.
    share
        Probability with which a place explores.
    draw
        Seed of the draws: the same number gives the same list.

    Examples
    --------
    >>> explore(60, 3, 0.0, draw=1)[0].tolist()
    [0, 1, 2]
    >>> positions, chances = explore(60, 3, 0.5, draw=1)
    >>> positions.tolist(), chances[:2].tolist(), bool(np.isclose(chances[2], 0.5 / 57))
    ([0, 1, 49], [0.5, 0.5], True)
    """
    places = min(k, found)
    waiting = list(range(places, found))
    positions = np.arange(places)
    chances = np.ones(places, np.float32)
    if share <= 0.0:
        return positions, chances
    generator = np.random.default_rng(draw)
    for place in range(places):
        if not waiting:
            continue
        if generator.random() < share:
            chances[place] = share / len(waiting)
            positions[place] = waiting.pop(int(generator.integers(len(waiting))))
        else:
            chances[place] = 1.0 - share
    return positions, chances


def explored(positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
    """Return which places of a list show a randomly drawn track.

    Parameters
    ----------
    positions
        What :func:`explore` returned, shape (k,).

    Returns
    -------
    numpy.ndarray or None
        Booleans, shape (k,); ``None`` if no place shows a drawn track.

    Examples
    --------
    >>> explored(np.array([0, 7, 2])).tolist()
    [False, True, False]
    """
    drawn = positions >= len(positions)
    return drawn if drawn.any() else None
