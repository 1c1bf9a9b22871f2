"""How many listeners an experiment needs, from what listeners did in the last fourteen days."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batch.ask import Ask
from batch.experiments.compare import listeners_needed
from batch.experiments.moments import Moments
from batch.experiments.reading import EVERYBODY, moments
from contracts.errors import ConfigurationError
from contracts.experiments import METRICS


@dataclass(frozen=True, slots=True)
class Size:
    """What an experiment needs.

    Attributes
    ----------
    now
        The metric over the last fourteen days.
    listeners
        Listeners it needs in all arms together; infinite where the metric is 0 now.
    active
        Listeners seen in the last fourteen days: more will not come soon.
    """

    metric: str
    now: float
    listeners: float
    active: int

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if not math.isfinite(self.listeners):
            return f"{self.metric} is 0 now: nothing can be compared yet."
        needed = math.ceil(self.listeners)
        fits = "there are that many" if needed <= self.active else "there are too few"
        return (
            f"{self.metric} is {self.now:.3g} now; the experiment needs about {needed:,} listeners "
            f"for 14 days, and {self.active:,} were here in the last 14: {fits}."
        )


def size(ask: Ask, metric: str, relative: float, arms: int = 2, power: float = 0.8) -> Size:
    """Return how many listeners an experiment needs to detect a change of a metric.

    Parameters
    ----------
    relative
        Change to detect as a share of the metric's value; 0.05 is 5 %.
    power
        Probability to detect a change of this size, above 0 and below 1.

    Raises
    ------
    ConfigurationError
        There is no such metric, or a number makes no sense.
    """
    if metric not in METRICS:
        raise ConfigurationError(f"there is no metric {metric!r}: choose from {', '.join(METRICS)}")
    if relative == 0.0 or not 0.0 < power < 1.0 or arms < 2:
        raise ConfigurationError("give a change other than 0, a power between 0 and 1, two arms")
    lately = moments(ask).get(EVERYBODY, {}).get(metric, {}).get("everybody", Moments.none())
    now = float(lately.sums[0] / lately.sums[1]) if lately.sums[1] else 0.0
    each = listeners_needed(lately, relative, power=power)
    return Size(metric, now, each * arms, lately.n)
