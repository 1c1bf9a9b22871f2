"""An experiment that is looked at every day for twenty days, with a known truth.

Listeners come every day and stay; everybody's lists grow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from batch.experiments.compare import compare
from batch.experiments.moments import Moments

DAYS = 20
#: New listeners of each arm a day, and the mean of their hit rates.
NEW, RATE = 60, 0.2


class Looks(NamedTuple):
    """What one experiment would have reported.

    Attributes
    ----------
    usual, sequence
        Whether the interval excluded no effect at any look.
    at_the_end
        Whether the usual interval excluded it at the last look.
    usual_missed, sequence_missed
        Whether the interval excluded the true effect at any look.
    """

    usual: bool
    sequence: bool
    at_the_end: bool
    usual_missed: bool
    sequence_missed: bool


def look_daily(rng: np.random.Generator, lift: float = 0.0) -> Looks:
    """Run one experiment; listeners of the second arm play a share ``lift`` more of their lists."""
    rows = [np.zeros((0, 4)), np.zeros((0, 4))]
    rates = [np.zeros(0), np.zeros(0)]
    seen: list[Looks] = []
    for _ in range(DAYS):
        for arm in (0, 1):
            rates[arm] = np.append(rates[arm], rng.beta(2, 8, NEW) * (1 + lift * arm))
            rows[arm] = np.vstack([rows[arm], np.zeros((NEW, 4))])
            lists = rng.poisson(1.0, len(rates[arm]))
            rows[arm][:, 1] += lists
            rows[arm][:, 0] += rng.binomial(lists, np.minimum(rates[arm], 1.0))
        made = compare(*map(Moments.from_rows, rows))
        assert made is not None
        truth = RATE * lift
        usual, always = made.fixed, made.always
        seen.append(
            Looks(
                usual.excludes_zero,
                always.excludes_zero,
                usual.excludes_zero,
                not usual.low < truth < usual.high,
                not always.low < truth < always.high,
            )
        )
    return Looks(*(any(values) for values in zip(*seen, strict=True)))._replace(
        at_the_end=seen[-1].usual
    )
