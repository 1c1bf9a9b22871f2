"""Reading what the nightly published about the warehouse; a file is read again when it changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from api.errors import ApiError
from contracts.figures import Figures
from contracts.settings import Settings
from contracts.warehouse import Warehouse

T = TypeVar("T", bound=msgspec.Struct)


class _File(Generic[T]):
    def __init__(self, struct: type[T]) -> None:
        self._struct = struct
        self._kept: dict[Path, tuple[tuple[int, int], T]] = {}

    def read(self, path: Path) -> T | None:
        try:
            stat = path.stat()
            stamp = stat.st_mtime_ns, stat.st_ino
            kept = self._kept.get(path)
            if kept is None or kept[0] != stamp:
                found = msgspec.json.decode(path.read_bytes(), type=self._struct)
                self._kept.clear()
                self._kept[path] = kept = stamp, found
        except (OSError, msgspec.MsgspecError):
            return None
        return kept[1]


_FIGURES = _File(Figures)
_WAREHOUSE = _File(Warehouse)


async def figures(settings: Settings) -> Figures | None:
    """Return the daily values of the figures; ``None`` if no nightly has published them."""
    return await asyncio.to_thread(_FIGURES.read, settings.paths.figures_file)


async def warehouse(settings: Settings) -> Warehouse:
    """Return the description of the warehouse's tables that the newest nightly published.

    Raises
    ------
    ApiError
        404: no nightly has built it yet.
    """
    found = await asyncio.to_thread(_WAREHOUSE.read, settings.paths.warehouse_document)
    if found is None:
        raise ApiError(
            404, "not-built", "The warehouse has not been built yet: `segue nightly` builds it."
        )
    return found
