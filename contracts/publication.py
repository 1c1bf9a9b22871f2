"""Files that one process publishes and every host reads, such as reports and nightly models.

If the lake is in the home, the files are only there, and this module does nothing. If the lake is
in object storage (``SEGUE_LAKE``), each folder below is a copy of what the bucket holds:

- ``published/<folder>/<digest>`` holds the content of a file. It never changes.
- ``published/<folder>.json`` is the index: it maps the path of each file to its digest. A push
  replaces it last and in one conditional write, so a reader sees all of a push or nothing, and of
  two processes that push at once the second is refused.

Each home stores the index of its last pull or push. A pull applies only what changed in the bucket
since then, so it keeps files that a process wrote here and has not pushed yet.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from contracts.errors import StoreUnavailable
from contracts.object_store import Bucket, Changed
from contracts.settings import Settings
from contracts.whole_files import write_whole

#: Folders of a home that are published.
BATCH_VIEW, CONTENT_VIEW, CONTENT, REPORTS, FIGURES, RUNS = FOLDERS = (
    "batch_view",
    "content_view",
    "content",
    "reports",
    "figures",
    "runs",
)
#: Beginnings of the names of files that name the other files in use: a pull writes them last and
#: deletes them first.
_POINTERS = ("current", "latest.")
_LOCK = "lock"


class _Seen(msgspec.Struct):
    """The index of a folder as this home saw it last."""

    version: str | None = None
    files: dict[str, str] = {}


class Publication:
    """The published folders of one home."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home
        self._bucket = Bucket(settings) if settings.lake else None

    def pull(self, *folders: str) -> None:
        """Bring folders of this home up to date.

        Raises
        ------
        StoreUnavailable, ConfigurationError
            Object storage does not answer, or refuses the key. The folders are as they were.
        """
        if self._bucket is None:
            return
        with self._alone():
            for folder in folders or FOLDERS:
                self._pull(self._bucket, folder)

    def push(self, *folders: str) -> None:
        """Publish folders of this home as they are now.

        Raises
        ------
        Changed
            Another process has published since the last pull; nothing was published.
        StoreUnavailable, ConfigurationError
            As :meth:`pull`.
        """
        if self._bucket is None:
            return
        with self._alone():
            for folder in folders or FOLDERS:
                self._push(self._bucket, folder)

    def merge(self, *folders: str) -> None:
        """Publish folders; if another process published a version of a file first, keep that."""
        try:
            self.push(*folders)
        except Changed:
            self.pull(*folders)
            self.push(*folders)

    @contextmanager
    def changing(self, *folders: str) -> Iterator[None]:
        """Bring folders up to date, let the block change them, and publish them."""
        self.pull(*folders)
        yield
        self.push(*folders)

    def _pull(self, bucket: Bucket, folder: str) -> None:
        seen = self._seen(folder)
        found = bucket.read(_index(folder), unless=seen.version or "")
        if found is None:  # no process has published the folder, or an operator emptied the bucket
            if seen != _Seen():
                self._remember(folder, _Seen())
            return
        if found[1] == seen.version:
            return
        files = msgspec.json.decode(found[0], type=dict[str, str])
        changed = [path for path in files if seen.files.get(path) != files[path]]
        aside = self._memory / "fetched"
        aside.mkdir(exist_ok=True)
        for path in changed:
            fetched = aside / files[path]
            if not fetched.exists() and not bucket.download(_key(folder, files[path]), fetched):
                raise StoreUnavailable(f"another process is publishing {folder}; try again")
        gone = [path for path in seen.files if path not in files]
        self._apply(folder, {path: aside / files[path] for path in changed}, gone)
        self._remember(folder, _Seen(found[1], files))
        for leftover in aside.iterdir():
            leftover.unlink()

    def _apply(self, folder: str, changed: Mapping[str, Path], gone: list[str]) -> None:
        root = self._home / folder
        for path in sorted(gone, key=_order, reverse=True):
            (root / path).unlink(missing_ok=True)
        for path in sorted(changed, key=_order):
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, changed[path].read_bytes())
        for emptied in sorted({(root / path).parent for path in gone}, reverse=True):
            if emptied != root and emptied.is_dir() and not any(emptied.iterdir()):
                emptied.rmdir()

    def _push(self, bucket: Bucket, folder: str) -> None:
        seen = self._seen(folder)
        files = _digests(self._home / folder)
        if files == seen.files:
            return
        there = set(seen.files.values())
        for path, digest in files.items():
            if digest not in there:
                bucket.upload(self._home / folder / path, _key(folder, digest))
                there.add(digest)
        index = msgspec.json.encode(files)
        version = bucket.write(_index(folder), index, instead_of=seen.version)
        self._remember(folder, _Seen(version, files))
        if unused := set(seen.files.values()) - set(files.values()):
            bucket.delete(*(_key(folder, digest) for digest in unused))

    @property
    def _memory(self) -> Path:
        return self._home / "published"

    def _seen(self, folder: str) -> _Seen:
        try:
            return msgspec.json.decode((self._memory / f"{folder}.json").read_bytes(), type=_Seen)
        except (FileNotFoundError, msgspec.DecodeError):
            return _Seen()

    def _remember(self, folder: str, seen: _Seen) -> None:
        write_whole(self._memory / f"{folder}.json", msgspec.json.encode(seen))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process of this home at a time pull or push; the others wait."""
        self._memory.mkdir(parents=True, exist_ok=True)
        with (self._memory / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _index(folder: str) -> str:
    return f"published/{folder}.json"


def _key(folder: str, digest: str) -> str:
    return f"published/{folder}/{digest}"


def _order(path: str) -> tuple[bool, str]:
    return path.rpartition("/")[2].startswith(_POINTERS), path


def _digests(root: Path) -> dict[str, str]:
    """Return path -> digest of every file below a folder; unfinished files do not count."""
    files = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and path.name != _LOCK and not any(p.startswith(".") for p in parts):
            with path.open("rb") as file:
                files["/".join(parts)] = hashlib.file_digest(file, "sha256").hexdigest()
    return files
