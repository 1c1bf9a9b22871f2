"""How every benchmark speaks: one JSON object with its machine, its floor and the ratio to it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

import numpy as np


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles of latencies in milliseconds (nearest rank, no interpolation)."""
    values = np.sort(np.asarray(seconds, np.float64)) * 1000
    if not len(values):
        return {}
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    found = {
        name: round(float(values[min(len(values) - 1, int(np.ceil(q * len(values))) - 1)]), 3)
        for name, q in ranks.items()
    }
    return {"n": len(values), "mean": round(float(values.mean()), 3), **found}


def machine() -> dict[str, object]:
    """Return what a reader must know of the machine to compare figures."""
    return {
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.system(),
    }
