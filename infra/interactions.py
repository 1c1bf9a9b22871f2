"""Reading any parquet or csv of interactions: which column means what, and plays in time order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from contracts.errors import ConfigurationError

_USER = ("user_id", "user", "userid", "uid", "user_name", "listener", "msno")
_ITEM = ("track_id", "song_id", "item_id", "recording_id", "artist_id", "track", "song", "item")
_TIME = ("played_at", "ts", "timestamp", "time", "listened_at", "date", "datetime")
#: Epoch numbers above this are milliseconds (as seconds they would lie beyond the year 5000).
_MILLISECONDS_FROM = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Interactions:
    """Interactions in time order (stable: rows of the same second keep the file's order).

    Attributes
    ----------
    users, items
        Text of the user and item columns; shape ``(n,)``.
    seconds
        Seconds since the epoch, UTC; shape ``(n,)``, int64.
    artists, titles
        Names where the file has them, else ``None``.
    """

    users: list[str]
    items: list[str]
    seconds: npt.NDArray[np.int64]
    artists: list[str] | None
    titles: list[str] | None

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
) -> Interactions:
    """Read a file; columns not named are found by their usual names.

    ``limit`` keeps the earliest ``limit`` interactions.

    Raises
    ------
    ConfigurationError
        Naming the file or the column that is missing and what to do.
    """
    table = _table(file)
    names = {
        "--user": _column(table, user, _USER, "--user", file),
        "--item": _column(table, item, _ITEM, "--item", file),
        "--time": _column(table, time, _TIME, "--time", file),
    }
    seconds = _seconds(table[names["--time"]], names["--time"], file)
    order = np.argsort(seconds, kind="stable")[:limit]
    table = table.take(pa.array(order))

    def text(column: str) -> list[str]:
        return pc.fill_null(table[column].cast(pa.string()), "").to_pylist()  # type: ignore[no-any-return]

    users, items = text(names["--user"]), text(names["--item"])
    present = {c.lower(): c for c in table.column_names}
    artist = next((present[c] for c in ("artist_name", "artist") if c in present), None)
    title = next((present[c] for c in ("track_name", "title", "song_name") if c in present), None)
    return Interactions(
        users=users,
        items=items,
        seconds=seconds[order],
        artists=text(artist) if artist else None,
        titles=text(title) if title else None,
    )


def _table(file: Path) -> pa.Table:
    if not file.is_file():
        raise ConfigurationError(f"{file}: there is no such file")
    try:
        if file.suffix in {".parquet", ".pq"}:
            return pyarrow.parquet.read_table(file)
        delimiter = "\t" if ".tsv" in file.suffixes else ","
        return pyarrow.csv.read_csv(
            file, parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter)
        )
    except (pa.ArrowException, OSError) as error:
        raise ConfigurationError(f"{file}: neither parquet nor csv ({error})") from None


def _column(
    table: pa.Table, wanted: str | None, usual: tuple[str, ...], option: str, file: Path
) -> str:
    if wanted is not None:
        if wanted in table.column_names:
            return wanted
        raise ConfigurationError(
            f"{file} has no column {wanted!r}; it has {', '.join(table.column_names)}"
        )
    by_name = {c.lower(): c for c in table.column_names}
    for name in usual:
        if name in by_name:
            return str(by_name[name])
    raise ConfigurationError(
        f"{file}: which of {', '.join(table.column_names)} is it? name it with {option}"
    )


def _seconds(column: pa.ChunkedArray, name: str, file: Path) -> npt.NDArray[np.int64]:
    if column.null_count:
        raise ConfigurationError(f"{file}: column {name} has {column.null_count} empty times")
    kind = column.type
    try:
        if pa.types.is_string(kind):
            column = pc.cast(column, pa.timestamp("s", tz="UTC"))
        elif pa.types.is_date(kind):
            column = column.cast(pa.timestamp("s"))
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("s", tz=column.type.tz), safe=False)
            return np.asarray(column.cast(pa.int64()).to_numpy(), np.int64)
        values = np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    except pa.ArrowException as error:
        raise ConfigurationError(f"{file}: column {name} holds no times ({error})") from None
    if len(values) and np.median(values) >= _MILLISECONDS_FROM:
        values = values / 1000
    return values.astype(np.int64)
