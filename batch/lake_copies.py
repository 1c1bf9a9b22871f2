"""Copies of the lake's files on the disk of the host that reads them all.

DuckDB reads files; its extension for object storage would be fetched from the network when it runs.
A file of a Delta table never changes, so each night copies only what is new. The copies take as
much disk as the lake.
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
        Where they lie; made when the first is fetched.
    """

    def __init__(self, bucket: Bucket, name: str, folder: Path) -> None:
        self._bucket = bucket
        self._name = name
        self._folder = folder.absolute()

    @classmethod
    def of(cls, settings: Settings, name: str) -> LakeCopies | None:
        """Return the copies of a table; ``None`` where the lake is on disk itself."""
        if not settings.lake:
            return None
        return cls(Bucket(settings), name, settings.paths.lake_copies / name)

    def fetch(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Copy the files that are not here yet; return the paths of all, in the same order.

        Raises
        ------
        StoreUnavailable
            A file cannot be read, or is gone since the version was looked up.
        """
        wanted = list(addresses)
        with ThreadPoolExecutor(_AT_ONCE, "lake-copy") as pool:
            return tuple(pool.map(self._fetch, wanted))

    def drop(self, keep: Iterable[str]) -> None:
        """Delete every copy but those at the paths `keep`."""
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
