"""A file of interactions as plays: users, items and names as text, in time order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts.errors import ConfigurationError
from online_model.interactions import read_in_time_order


@dataclass(frozen=True, slots=True)
class InteractionLog:
    """Interactions in time order (stable: rows of the same second keep the file's order).

    Attributes
    ----------
    users, items
        Text of the user and item columns; shape ``(n,)``.
    seconds
        Seconds since the epoch, UTC; shape ``(n,)``, int64.
    artists, titles
        Names where the file has them, else ``None``.
    incomplete
        Counts of skipped rows of the file, by what they lack: ``user``, ``item``, ``time``.
    """

    users: list[str]
    items: list[str]
    seconds: npt.NDArray[np.int64]
    artists: list[str] | None
    titles: list[str] | None
    incomplete: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.users)

    def name(self, row: int, collection: str) -> tuple[str, str]:
        """Return artist and title of a row; invented from the item id where there are none."""
        artist = self.artists[row] if self.artists else ""
        title = self.titles[row] if self.titles else ""
        return artist or collection, title or f"item {self.items[row]}"

    def iter_rows(self) -> Iterator[tuple[str, str, int]]:
        """Yield (user, item, second)."""
        yield from zip(self.users, self.items, self.seconds.tolist(), strict=True)


def read(
    file: Path,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    limit: int | None = None,
) -> InteractionLog:
    """Read a file; columns not named are found by their usual names.

    ``limit`` keeps the earliest ``limit`` interactions.

    Raises
    ------
    ConfigurationError
        Naming the file or the column that is missing and what to do.
    """
    if not file.is_file():
        raise ConfigurationError(f"there is no file {file}")
    rows = read_in_time_order(file, user=user, item=item, time=time, limit=limit)
    table, chosen = rows.table, rows.columns

    def text(column: str) -> list[str]:
        return pc.fill_null(table[column].cast(pa.string()), "").to_pylist()  # type: ignore[no-any-return]

    present = {c.lower(): c for c in table.column_names}
    artist = next((present[c] for c in ("artist_name", "artist") if c in present), None)
    title = next((present[c] for c in ("track_name", "title", "song_name") if c in present), None)
    return InteractionLog(
        users=text(chosen[0]),
        items=text(chosen[1]),
        seconds=rows.seconds,
        artists=text(artist) if artist else None,
        titles=text(title) if title else None,
        incomplete=rows.incomplete,
    )
