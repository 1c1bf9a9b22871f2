"""The learner's half of an erasure: the arrays first, then every file that still held the rows.

The model stores the offset of the last erasure it applied. A learner restored from an older
snapshot therefore applies later erasures again; an up-to-date one skips them, so a listener who
registered again is not erased again.

An erasure is applied before the first play that is learned after it was read. Plays that a
listener posts later belong to a new row, and no later step may erase that one.
"""

from __future__ import annotations

import logging
from pathlib import Path

from contracts.heartbeat import in_model
from online_model import ModelDirectory, Recommender
from streams.worker import Worker

log = logging.getLogger(__name__)


class Forgetting:
    """Applies erasures to one model.

    The heartbeat's offset ``"<erasures topic>:<partition>:model"`` is the next one after the last
    erasure that both the served arrays and every snapshot on this host reflect. Nothing is reported
    before :meth:`serve`: until then readers hold a file of an earlier process.

    Parameters
    ----------
    log_id
        Identity of the log of ``erasures``.
    """

    def __init__(
        self, worker: Worker, model: Recommender, directory: ModelDirectory, log_id: str
    ) -> None:
        self._erasures = worker.erasures
        self._status = worker.status
        self._topic = worker.topics.erasures
        self._model = model
        self._directory = directory
        self._log_id = log_id
        self._looked = 0
        self._applied: dict[int, int] = {}
        self._unsaved = False
        self._saving: dict[int, int] | None = None
        self._served = False
        self._held: dict[int, int] = {}

    def serve(self) -> None:
        """Report from now on: readers have these arrays."""
        self._served = True
        self._report(self._held)

    def apply(self) -> bool:
        """Forget what was noted since the last call; return whether a snapshot is due."""
        fresh = self._erasures.noted[self._looked :]
        if fresh:
            standing = self._model.offsets
            for partition, offset, erasure in fresh:
                self._applied[partition] = offset + 1
                if offset <= standing.get((self._log_id, partition), -1):
                    continue
                if not erasure.event_id:
                    self._model.erase_listener(int(erasure.listener, 16))
                    self._unsaved = True
                self._model.set_offset(self._log_id, partition, offset)
            self._looked += len(fresh)
            if not self._unsaved and self._saving is None:
                self._report(self._applied)
        return self._unsaved

    @property
    def complete(self) -> bool:
        """Whether every erasure that was noted is applied to the arrays."""
        return self._looked == len(self._erasures.noted)

    @property
    def applied(self) -> int:
        """Number of erasures applied to the arrays, and so to snapshots that begin now."""
        return self._looked

    def snapshot_begins(self) -> None:
        """The arrays are copied now: what was applied so far will be on disk."""
        if self._unsaved:
            self._saving, self._unsaved = dict(self._applied), False

    def snapshot_is_written(self, path: Path) -> None:
        """Delete every other snapshot: they are older and may hold the rows."""
        if self._saving is None:
            return
        for other in self._directory.snapshots():
            if other != path:
                other.unlink(missing_ok=True)
        self._report(self._saving)
        self._saving = None

    def snapshot_failed(self) -> None:
        """Try again with the next one."""
        self._unsaved = self._unsaved or self._saving is not None
        self._saving = None

    def _report(self, applied: dict[int, int]) -> None:
        if not self._served:
            self._held |= applied
            return
        for partition, offset in applied.items():
            self._status.offsets[in_model(self._topic.place(partition))] = offset
            log.info(
                "the model has applied the erasures of partition %d up to offset %d",
                partition,
                offset,
            )
