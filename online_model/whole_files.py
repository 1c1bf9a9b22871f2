"""Files that are complete or absent, also after a crash, and read-only views of files."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

#: Matches the halves that a killed :func:`write_whole` of ``*.bin`` leaves.
UNFINISHED = ".*.bin.*"


def write_whole(path: Path, parts: list[bytes]) -> None:
    """Write a file aside, sync it to disk and rename it into place."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)  # a full disk needs the room
        raise
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
