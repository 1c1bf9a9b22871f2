"""Names the steps of a commit, so that a test can ``kill -9`` a real worker exactly there.

The variable ``STREAMS_KILL_AT`` holds ``STEP`` or ``STEP:N``: the process ends itself by SIGKILL
when it reaches that step for the N-th time. Without it a step costs a comparison.
"""

from __future__ import annotations

import os
import signal

#: Messages were read; the store does not have them yet.
BEFORE_WRITE = "before-write"
#: Rows are written inside a transaction whose fence has not moved.
ROWS_WRITTEN = "rows-written"
#: The store has the messages and their offset; neither this process nor Kafka has noted the offset.
WRITTEN = "written"
#: A snapshot of the model is on disk; its offsets are not committed.
SNAPSHOT_WRITTEN = "snapshot-written"
#: Offsets are about to be committed to the consumer group.
BEFORE_COMMIT = "before-commit"

_STEP, _, _TIMES = os.environ.get("STREAMS_KILL_AT", "").partition(":")
_left = int(_TIMES or 1)


def reach(step: str) -> None:
    """Pass a step, or kill this process if ``STREAMS_KILL_AT`` asks for it here."""
    global _left
    if step == _STEP:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
