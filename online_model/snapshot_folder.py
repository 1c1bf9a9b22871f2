"""The snapshots of a folder: checked copies of a model, the newest two kept."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from contracts.whole_files import replacing
from online_model import snapshots
from online_model.config import ModelConfig
from online_model.recommender import Recommender
from online_model.state import PLAYS

_KEPT = 2


class SnapshotFolder:
    """Writes snapshots of the model to a folder, one at a time, and lists them.

    Parameters
    ----------
    path
        The folder; it must exist when a snapshot is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: ThreadPoolExecutor | None = None

    def newest_first(self) -> list[Path]:
        """List the snapshots."""
        return sorted(self.path.glob("snapshot-*.bin"), reverse=True)

    def write(self, model: Recommender) -> Path:
        """Write a snapshot and return its path once it is on disk."""
        return self._write(model.settings, model.freeze(), _name(model))

    def write_later(self, model: Recommender) -> Future[Path]:
        """Copy the used rows now and write them in a thread."""
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        return self._writer.submit(self._write, model.settings, model.freeze(), _name(model))

    def close(self) -> None:
        """Wait for a snapshot that is being written."""
        if self._writer is not None:
            self._writer.shutdown()
            self._writer = None

    def _write(self, config: ModelConfig, rows: list[bytes], name: str) -> Path:
        path = self.path / name
        with replacing(path) as file:
            file.writelines(snapshots.encode(config, rows))
        for old in self.newest_first()[_KEPT:]:
            old.unlink(missing_ok=True)
        return path


def _name(model: Recommender) -> str:
    """Return a name that sorts by generation, then by plays learned."""
    plays = int(model.state.counters[PLAYS])
    return f"snapshot-{model.generation:010d}-{plays:015d}.bin"


@contextlib.contextmanager
def mapped(path: Path) -> Iterator[memoryview]:
    """Map a file for reading; an empty one, which cannot be mapped, is an empty view."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            yield memoryview(b"")
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
            data = memoryview(mapping)
            try:
                yield data
            finally:
                with contextlib.suppress(BufferError):
                    data.release()
