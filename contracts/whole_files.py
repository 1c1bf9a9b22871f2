"""Files that are complete or absent, also after a crash."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write; at the end of the block it is on disk and replaces `path` in one step.

    If the block fails, or the disk is full, `path` is unchanged. A killed process leaves a file
    that :func:`unfinished` finds.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace a file by new content (text as UTF-8), as :func:`replacing` does."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def unfinished(folder: Path, pattern: str) -> Iterator[Path]:
    """Return the incomplete files that killed processes left, for names that match a pattern."""
    return folder.glob(f".{pattern}.*")


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
