"""A copy of the live model in object storage: a new host starts from it, not from an empty model.

Each hour one learner uploads its newest snapshot. The object ``model/newest.json`` names it and is
replaced by a conditional write: if several learners upload at once, only one of them replaces it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from contracts.object_store import Bucket, Changed
from contracts.settings import Settings

log = logging.getLogger(__name__)

EVERY_SECONDS = 3600.0
_FOLDER = "model"
_INDEX = f"{_FOLDER}/newest.json"


class _Newest(msgspec.Struct, kw_only=True):
    """Content of ``model/newest.json``: which copy of the model a new host downloads.

    Attributes
    ----------
    name
        File name of the snapshot on the host.
    key
        Key of the object in object storage that holds the snapshot.
    log_id
        Id of the topic ``plays`` that the model was learned from.
    at
        When a learner uploaded it, seconds since the epoch, UTC.
    """

    name: str
    key: str
    log_id: str
    at: float


class ModelCopies:
    """Copies of the model that one deployment learns from one log of plays.

    Parameters
    ----------
    clock
        Seconds since the epoch, UTC.
    """

    def __init__(
        self, settings: Settings, log_id: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._bucket = Bucket(settings)
        self._host = settings.host_name
        self._log_id = log_id
        self._clock = clock

    def fetch(self, folder: Path) -> bool:
        """Download the copy into a folder of snapshots; return whether there was one.

        Raises
        ------
        StoreUnavailable, ConfigurationError
            Object storage does not answer, or refuses the key.
        """
        found = self._newest()
        if found is None or found[0].log_id != self._log_id:
            return False
        newest = found[0]
        folder.mkdir(parents=True, exist_ok=True)
        return self._bucket.download(newest.key, folder / newest.name)

    def offer(self, snapshot: Path, may_keep: Callable[[], bool]) -> bool:
        """Upload a snapshot if the copy is an hour old; return whether it is the copy now.

        Parameters
        ----------
        may_keep
            Asked after the upload: ``False`` if a listener was erased since the snapshot was made.

        Raises
        ------
        StoreUnavailable, ConfigurationError
            Object storage does not answer, or refuses the key.
        """
        found = self._newest()
        now = self._clock()
        same_log = found is not None and found[0].log_id == self._log_id
        if found is not None and same_log and now - found[0].at < EVERY_SECONDS:
            return False
        key = f"{_FOLDER}/{self._host}-{int(now)}.bin"
        self._bucket.upload(snapshot, key)
        newest = _Newest(name=snapshot.name, key=key, log_id=self._log_id, at=now)
        kept = False
        try:
            if may_keep():
                version = None if found is None else found[1]
                self._bucket.write(_INDEX, msgspec.json.encode(newest), instead_of=version)
                kept = True
        except Changed:
            # The library repeats a write whose answer was lost, and then meets its own.
            now_there = self._newest()
            kept = now_there is not None and now_there[0].key == key
            if not kept:
                log.info("skipped the upload: another host has uploaded a newer copy of its model")
        # After another error the index may name the upload: this host's next one deletes it.
        if not kept:
            self._bucket.delete(key)
            return False
        own = f"{_FOLDER}/{self._host}"
        old = {each for each in self._bucket.keys(_FOLDER) if each.rpartition("-")[0] == own}
        if found is not None:
            old.add(found[0].key)
        if old := old - {key}:
            self._bucket.delete(*old)
        return True

    def _newest(self) -> tuple[_Newest, str] | None:
        found = self._bucket.read(_INDEX)
        return None if found is None else (msgspec.json.decode(found[0], type=_Newest), found[1])


def forget(settings: Settings) -> dict[str, int]:
    """Delete the copies, which may hold erased listeners; return the number of deleted files.

    A learner uploads one of its next snapshots, in which the erasure is applied.
    """
    if not settings.lake:
        return {}
    bucket = Bucket(settings)
    keys = bucket.keys(_FOLDER)
    if keys:
        bucket.delete(*keys)
    return {"files": len(keys)}
