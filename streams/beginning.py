"""Where reading may begin: a log that is not kept for ever has lost its oldest messages.

A fold that stands before the beginning of its log cannot say any more that its state is a function
of a prefix of the log: what lies between is gone. It refuses to start and says what to do, unless
it was told to accept the loss (``SEGUE_ACCEPT_CUT_LOG=1``); then it begins where the log does.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from contracts.errors import Terminal
from contracts.kafka import begin_offsets
from streams.worker import Worker

log = logging.getLogger(__name__)


class LogCutOff(Terminal):
    """The log does not reach back to where a fold stands."""


def reading_from(worker: Worker, topic: str, positions: Mapping[int, int]) -> dict[int, int]:
    """Return the offset of each partition from which a fold at ``positions`` reads.

    Waits for the broker. Impressions and results are kept for a while by design: there a gap is
    only logged.

    Raises
    ------
    LogCutOff
        Messages the fold has not applied are gone and nobody said that this is accepted.
    """
    settings = worker.settings
    begins = worker.patiently(lambda: begin_offsets(settings, topic, list(positions)), topic)
    gaps = {p: begins[p] - at for p, at in positions.items() if begins[p] > at}
    if gaps:
        lost = ", ".join(f"{count} of partition {p}" for p, count in sorted(gaps.items()))
        told = f"{topic} begins after the place where {worker.name} stands; gone: {lost} messages"
        bounded = {worker.topics.impressions, *worker.topics.results.values()}
        if topic not in bounded and not settings.accept_cut_log:
            raise LogCutOff(
                f"{told}. Bring back a store that stands further on (a backup, a snapshot of the "
                "model), fold the lake into a new namespace (docs/retention.md), or set "
                "SEGUE_ACCEPT_CUT_LOG=1 to go on without them"
            )
        log.warning("%s; going on without them", told)
        worker.status.add(messages_lost=sum(gaps.values()))
    return {p: max(at, begins[p]) for p, at in positions.items()}
