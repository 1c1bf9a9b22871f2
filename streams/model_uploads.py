"""The learner's side of the model's copy in object storage: fetch it once, upload it each hour."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from contracts.errors import SegueError
from contracts.model_copies import ModelCopies
from online_model import ModelDirectory
from streams.forgetting import Forgetting
from streams.worker import Worker

log = logging.getLogger(__name__)
#: Shortest time between two checks of whether the copy is an hour old.
_LOOK_SECONDS = 60.0


def fetch_first(worker: Worker, directory: ModelDirectory, log_id: str) -> None:
    """Fetch the copy of the model if this host has no snapshot; wait for object storage."""
    settings = worker.settings
    if not settings.lake or directory.snapshots():
        return
    copies = ModelCopies(settings, log_id)
    if worker.patiently(lambda: copies.fetch(directory.path), "model"):
        log.info("this host had no model: it starts from a copy in object storage")


class ModelUploads:
    """Uploads the learner's snapshots in a thread; does nothing if the lake is in the home."""

    def __init__(self, worker: Worker, log_id: str, forgetting: Forgetting) -> None:
        settings = worker.settings
        self._copies = ModelCopies(settings, log_id) if settings.lake else None
        self._status = worker.status
        self._forgetting = forgetting
        self._applied = 0
        self._looked = -_LOOK_SECONDS
        self._running: asyncio.Future[None] | None = None

    def snapshot_begins(self) -> None:
        """Note which erasures the snapshot reflects: its arrays are copied now."""
        self._applied = self._forgetting.applied

    def snapshot_is_written(self, path: Path) -> None:
        """Begin to upload the snapshot, unless the last check was less than a minute ago."""
        now = time.monotonic()
        if self._copies is None or now - self._looked < _LOOK_SECONDS:
            return
        if self._running is not None and not self._running.done():
            return
        self._looked = now
        applied, forgetting = self._applied, self._forgetting

        def may_keep() -> bool:
            return forgetting.complete and forgetting.applied == applied

        upload = asyncio.to_thread(self._upload, self._copies, path, may_keep)
        self._running = asyncio.ensure_future(upload)

    def _upload(self, copies: ModelCopies, path: Path, may_keep: Callable[[], bool]) -> None:
        try:
            self._status.add(model_uploads=int(copies.offer(path, may_keep)))
        except (SegueError, OSError) as error:
            log.warning("the model was not uploaded: %s", error)
