"""Copies of the lake's files on the disk of a host that reads whole tables, such as the nightly's.

DuckDB reads local files: it would have to download its extension for object storage at run time.
A file of a Delta table never changes, so each night copies only new files. The copies take as much
disk as the lake.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from contracts.errors import StoreUnavailable
from contracts.object_store import Bucket
from contracts.settings import Settings

_AT_ONCE = 8


class LakeCopies:
    """Copies of the files of one table.

    Parameters
    ----------
    folder
        Folder of the copies; created when the first is fetched.
    """

    def __init__(self, bucket: Bucket, name: str, folder: Path) -> None:
        self._bucket = bucket
        self._name = name
        self._folder = folder.absolute()

    @classmethod
    def of(cls, settings: Settings, name: str) -> LakeCopies | None:
        """Return the copies of a table; ``None`` if the lake is on disk itself."""
        if not settings.lake:
            return None
        return cls(Bucket(settings), name, settings.paths.lake_copies / name)

    def fetch(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Copy the files that have no copy yet; return the paths of all, in the same order.

        Raises
        ------
        StoreUnavailable
            A file cannot be read, or was deleted after the version was looked up.
        """
        with ThreadPoolExecutor(_AT_ONCE, "lake-copy") as pool:
            return tuple(pool.map(self._fetch, addresses))

    def drop(self, keep: Iterable[str]) -> None:
        """Delete every copy except those at the paths `keep`."""
        kept = set(keep)
        for path in self._folder.rglob("*"):
            if path.is_file() and str(path) not in kept:
                path.unlink()

    def _fetch(self, address: str) -> str:
        relative = address.removeprefix(self._bucket.address.uri(self._name)).lstrip("/")
        path = self._folder / relative
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._bucket.download(f"{self._name}/{relative}", path):
                raise StoreUnavailable(f"lake table {self._name}: {relative} is gone; try again")
        return str(path)
