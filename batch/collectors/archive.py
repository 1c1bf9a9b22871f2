"""The raw archive: every answer of a source, kept as it came, one folder a day.

``<folder>/<date>/answers.jsonl.gz`` holds one gzip member per answer. Members can be appended, and
a torn one is recognised by its checksum: a kill at any point loses at most the answer that was
being written, and the next start cuts that off. ``zcat`` reads the file as JSON lines.

The archive is also how a run resumes. Every answer carries the *unit* of work it belongs to, which
is unique in the run; a unit found here is not asked for again. So a kill between writing an answer
and using it leaves neither gap nor duplicate.
"""

from __future__ import annotations

import fcntl
import gzip
import logging
import os
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from contracts.errors import ConfigurationError, IncompatibleState
from contracts.whole_files import sync_folder

_LOG = logging.getLogger(__name__)
_NAME = "answers.jsonl.gz"


class ArchivedAnswer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One answer of a source.

    Attributes
    ----------
    unit
        What was being asked: ``"<run>/<what>"``, unique in the archive.
    path, params
        The question, without credentials.
    status
        HTTP status; 304 when the source confirmed an answer we held (``body`` is that answer).
    fetched_at
        Milliseconds since the epoch, UTC.
    body
        The answer's text, untouched.
    """

    unit: str
    source: str
    path: str
    params: dict[str, str]
    status: int
    fetched_at: int
    body: str


_RECORD = msgspec.json.Decoder(ArchivedAnswer)


class Archive:
    """Answers of one source; one process writes at a time.

    Parameters
    ----------
    folder
        ``<home>/staging/<source>``.

    Raises
    ------
    ConfigurationError
        Another process collects from this source into this folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ConfigurationError(
                f"another `segue collect {folder.name}` writes to {folder}; wait for it to end"
            ) from None
        for path in days(folder):
            _cut_torn_tail(path)
        self._units: dict[str, tuple[Path, int]] = {}
        self._run = ""
        self._file: BinaryIO | None = None
        self._path: Path | None = None

    def begin(self, run: str) -> None:
        """Name the run whose units :meth:`find` knows; earlier answers of it are indexed."""
        self._run = run
        self._units.clear()
        for path in days(self.folder):
            for offset, record in _members(path, 0):
                if record.unit.startswith(run + "/"):
                    self._units[record.unit] = (path, offset)

    def find(self, what: str) -> ArchivedAnswer | None:
        """Return the answer this run already holds for a unit of work."""
        place = self._units.get(f"{self._run}/{what}")
        if place is None:
            return None
        return next(_members(*place))[1]

    def append(
        self, *, what: str, path: str, params: dict[str, str], status: int, fetched_at: int,
        body: str,
    ) -> ArchivedAnswer:  # fmt: skip
        """Keep an answer; on return it is on disk."""
        record = ArchivedAnswer(
            unit=f"{self._run}/{what}",
            source=self.folder.name,
            path=path,
            params=params,
            status=status,
            fetched_at=fetched_at,
            body=body,
        )
        file = self._open(datetime.fromtimestamp(fetched_at / 1000, UTC).date().isoformat())
        offset = file.seek(0, os.SEEK_END)
        file.write(gzip.compress(msgspec.json.encode(record) + b"\n", compresslevel=5, mtime=0))
        file.flush()
        os.fsync(file.fileno())
        assert self._path is not None
        self._units[record.unit] = (self._path, offset)
        return record

    def _open(self, day: str) -> BinaryIO:
        path = self.folder / day / _NAME
        if self._file is None or path != self._path:
            self._close_file()
            path.parent.mkdir(exist_ok=True)
            self._file, self._path = path.open("ab"), path
            sync_folder(path.parent)
            sync_folder(self.folder)
        return self._file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        """Close the file and give the lock back."""
        self._close_file()
        self._lock.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def days(folder: Path) -> list[Path]:
    """Return the archive files of a source, oldest day first."""
    return sorted(folder.glob(f"????-??-??/{_NAME}"))


def read(path: Path, offset: int = 0) -> Iterator[tuple[int, ArchivedAnswer]]:
    """Yield ``(end, record)`` of a day's file from a byte offset on; stops at a torn tail.

    ``end`` is the offset after the record: a reader that stores it can resume there later.
    """
    for _, end, record in _members_with_end(path, offset):
        yield end, record


def _members(path: Path, offset: int) -> Iterator[tuple[int, ArchivedAnswer]]:
    for start, _, record in _members_with_end(path, offset):
        yield start, record


def _members_with_end(path: Path, offset: int) -> Iterator[tuple[int, int, ArchivedAnswer]]:
    with path.open("rb") as file:
        file.seek(offset)
        buffer = file.read(65_536)
        while buffer:
            member, text = zlib.decompressobj(wbits=31), []
            start = offset
            try:
                while True:
                    text.append(member.decompress(buffer))
                    if member.eof:
                        break
                    offset += len(buffer)
                    buffer = file.read(65_536)
                    if not buffer:
                        return  # torn: the writer was killed here
            except zlib.error:
                return
            offset += len(buffer) - len(member.unused_data)
            buffer = member.unused_data or file.read(65_536)
            try:
                yield start, offset, _RECORD.decode(b"".join(text))
            except msgspec.MsgspecError as error:
                raise IncompatibleState(f"{path} at byte {start}: {error}") from None


def _cut_torn_tail(path: Path) -> None:
    """Cut off a half-written last answer; what is cut is kept beside, never thrown away."""
    end = max((end for end, _ in read(path)), default=0)
    size = path.stat().st_size
    if end == size:
        return
    with path.open("r+b") as file:
        file.seek(end)
        tail = file.read()
        aside = path.with_name(f"torn-{end}-{zlib.crc32(tail):08x}")
        aside.write_bytes(tail)
        file.truncate(end)
        os.fsync(file.fileno())
    _LOG.warning(
        "moved an incomplete answer of %d bytes from the end of %s to %s",
        size - end,
        path,
        aside.name,
    )
