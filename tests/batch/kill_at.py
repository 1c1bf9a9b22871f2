"""Run the nightly of the environment's deployment and ``kill -9`` it at a point.

``python -m tests.batch.kill_at STEP:WORD`` (as the nightly reports its progress), or ``promote``:
a generation is written and not yet in service.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import date
from pathlib import Path

from batch.nightly import nightly
from contracts import batch_view
from contracts.settings import Settings


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(point: str) -> None:
    """Run until the point is reached; the process does not return from there."""

    def progress(step: str, word: str) -> None:
        if f"{step}:{word}" == point:
            _die()

    if point == "promote":

        def promote(folder: Path, generation: int) -> None:
            assert generation in batch_view.generations(folder)
            _die()

        batch_view.promote = promote
    nightly(Settings.from_env(), day=date(2025, 3, 4), progress=progress)


if __name__ == "__main__":
    main(sys.argv[1])
