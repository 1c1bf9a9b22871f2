"""Checkpoint of an import, so that a killed one resumes there and doubles nothing.

Each import has a folder ``<home>/imports/<key>.<n>``: ``state.json``, ``rejects.jsonl`` and a lock
that dies with its process. The key is made of the file's size, beginning and end, and of what was
asked for; the number lets several imports of one file run side by side.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from contracts.home import HomePaths
from infra.operations.imports.rejects import Reject

_EDGE = 1 << 20


class State(msgspec.Struct, kw_only=True):
    """What is done.

    Attributes
    ----------
    file, user
        What is imported, and the listener that the caller named.
    member, record
        The member being read, from 0, and how many of its records are done.
    kept
        Plays the API has taken responsibility for.
    dropped, rejected
        Records left out on purpose, and records that could not be used, by reason.
    rejects_bytes
        Length of the file of rejects that belongs to this state.
    formats, ignored, empty
        Formats that were met, members without plays, and recognised ones without a record.
    """

    file: str = ""
    user: str = ""
    member: int = 0
    record: int = 0
    kept: int = 0
    dropped: dict[str, int] = {}
    rejected: dict[str, int] = {}
    rejects_bytes: int = 0
    formats: list[str] = []
    ignored: list[str] = []
    empty: list[str] = []
    finished: bool = False

    @property
    def read(self) -> int:
        """Records that became something."""
        return self.kept + sum(self.dropped.values()) + sum(self.rejected.values())


class Slot:
    """The folder of one import; a context in which its file of rejects is open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rejects = folder / "rejects.jsonl"
        self._state = folder / "state.json"
        self.state = self._load()
        self._file: BinaryIO | None = None

    def _load(self) -> State:
        try:
            state = msgspec.json.decode(self._state.read_bytes(), type=State)
        except (OSError, msgspec.MsgspecError):
            return State()
        return State() if state.finished else state

    def __enter__(self) -> Slot:
        self._file = self.rejects.open("ab")
        # What was written after the state was saved will be written again.
        self._file.truncate(self.state.rejects_bytes)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()
        if not self.state.rejects_bytes:
            self.rejects.unlink()

    def keep(self, rejects: list[Reject]) -> None:
        """Append rejects; they count once :meth:`save` has been called."""
        assert self._file is not None
        for reject in rejects:
            self.state.rejects_bytes += self._file.write(_line(reject))
        self._file.flush()

    def save(self) -> None:
        """Write the state in one step."""
        aside = self._state.with_suffix(".tmp")
        aside.write_bytes(msgspec.json.encode(self.state))
        aside.replace(self._state)

    def forget(self) -> None:
        """Start from scratch next time."""
        self._state.unlink(missing_ok=True)


def _line(reject: Reject) -> bytes:
    try:
        return msgspec.json.encode(reject) + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair in a name
        sound = {
            field: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
            for field, value in msgspec.structs.asdict(reject).items()
        }
        return msgspec.json.encode(sound) + b"\n"


def key_of(file: Path, *asked: str) -> str:
    """Return what names an import of a file."""
    size = file.stat().st_size
    mark = hashlib.blake2b("\x1f".join([str(size), *asked]).encode(), digest_size=8)
    with file.open("rb") as stream:
        mark.update(stream.read(_EDGE))
        stream.seek(max(0, size - _EDGE))
        mark.update(stream.read(_EDGE))
    return mark.hexdigest()


@contextmanager
def slot_for(home: Path, key: str) -> Iterator[Slot]:
    """Take the first folder of this key that no other import holds."""
    number = 0
    while True:
        number += 1
        folder = HomePaths(home).imports / f"{key}.{number}"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            with Slot(folder) as slot:
                yield slot
            return
