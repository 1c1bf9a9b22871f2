"""Checks that the log still holds a fold's next message: bounded retention deletes the oldest.

If a fold's offset is lower than the first offset in Kafka, the messages in between are lost, and
its state is no longer a function of a prefix of the log. The worker then refuses to start and
states what to do. With ``SEGUE_ACCEPT_CUT_LOG=1`` it accepts the loss and begins at the first
offset.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from contracts.errors import Terminal
from contracts.kafka import begin_offsets
from streams.worker import Worker

log = logging.getLogger(__name__)


class LogCutOff(Terminal):
    """The log no longer holds the next message of a fold."""


def reading_from(worker: Worker, topic: str, positions: Mapping[int, int]) -> dict[int, int]:
    """Return the offset of each partition from which a fold at ``positions`` reads.

    Waits for the broker. Impressions and results are kept for a while by design: there a gap is
    only logged.

    Raises
    ------
    LogCutOff
        Messages that the fold has not applied are gone, and the settings do not accept that.
    """
    settings = worker.settings
    begins = worker.patiently(lambda: begin_offsets(settings, topic, list(positions)), topic)
    gaps = {p: begins[p] - at for p, at in positions.items() if begins[p] > at}
    if gaps:
        lost = ", ".join(f"{count} of partition {p}" for p, count in sorted(gaps.items()))
        missing = (
            f"{topic} no longer holds the next message of {worker.name}; gone: {lost} messages"
        )
        bounded = {worker.topics.impressions, *worker.topics.results.values()}
        if topic not in bounded and not settings.accept_cut_log:
            raise LogCutOff(
                f"{missing}. Restore a store with a higher offset (a backup, a snapshot of the "
                "model), fold the lake into a new namespace (docs/retention.md), or set "
                "SEGUE_ACCEPT_CUT_LOG=1 to continue without them"
            )
        log.warning("%s; continuing without them", missing)
        worker.status.add(messages_lost=sum(gaps.values()))
    return {p: max(at, begins[p]) for p, at in positions.items()}
