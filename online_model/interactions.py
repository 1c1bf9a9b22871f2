"""Read any table of interactions: who, what, when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from contracts.ids import normalise
from contracts.placeholders import is_placeholder
from contracts.plays import UNKNOWN, heard
from online_model.errors import ModelError

USER_COLUMNS = ("user_id", "user", "userid", "user_name", "username", "listener", "uid")
ITEM_COLUMNS = (
    "track_id",
    "song_id",
    "item_id",
    "track",
    "song",
    "item",
    "trackid",
    "itemid",
    "recording_mbid",
    "spotify_track_uri",
    "artist_id",
    "artistid",
    "artist",
)
TIME_COLUMNS = (
    "ts",
    "timestamp",
    "time",
    "played_at",
    "listened_at",
    "unix_timestamp",
    "date",
    "datetime",
    "created_at",
)
# Numbers above these bounds cannot be seconds, milliseconds or microseconds of this century.
_UNITS = ((1e17, 1_000_000_000), (1e14, 1_000_000), (1e11, 1_000))


class UnreadableInteractions(ModelError):
    """The file cannot be read as a table of interactions; the message names what is missing.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "plays.csv"
    ...     _ = path.write_text("user_id,track_id\\nada,run\\n")
    ...     read_interactions(path)
    Traceback (most recent call last):
    online_model.interactions.UnreadableInteractions: no column for the time: name it with \
--time; there are user_id, track_id
    """


@dataclass(frozen=True, slots=True)
class Interactions:
    """Interactions in time order; users and items numbered by first appearance.

    Attributes
    ----------
    users, items
        Numbers from 0, i64, shape (n,).
    seconds
        Seconds since the epoch, i64, shape (n,), never falling.
    ratios
        Share played, per cent, 255 unknown, u8, shape (n,).
    columns
        The names of the columns used: user, item, time.
    incomplete
        Counts of skipped rows of the file, by what they lack: ``user``, ``item``, ``time``,
        and with an artist column ``artist`` and ``name`` (a placeholder such as "Unknown Artist").
    artists
        Number of each play's artist from 0, i64, shape (n,); ``None`` without an artist column.

    Examples
    --------
    >>> data = Interactions(users=np.array([0, 0, 1]), items=np.array([0, 1, 0]),
    ...     seconds=np.array([10, 250, 300]), ratios=np.full(3, 255, np.uint8),
    ...     columns=("user", "item", "time"))
    >>> len(data)
    3
    """

    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.int64]
    ratios: npt.NDArray[np.uint8]
    columns: tuple[str, str, str]
    incomplete: dict[str, int] = field(default_factory=dict)
    artists: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.users)


class TimeOrdered(NamedTuple):
    """The rows of a file that lack nothing, oldest first.

    Attributes
    ----------
    table
        The rows.
    seconds
        Seconds since the epoch of each row, i64, shape (n,), never falling.
    columns, incomplete
        As in :class:`Interactions`.
    """

    table: pa.Table
    seconds: npt.NDArray[np.int64]
    columns: tuple[str, str, str]
    incomplete: dict[str, int]


def read_interactions(
    path: Path,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    limit: int | None = None,
    artist: str | None = None,
    heard_ms: str | None = None,
) -> Interactions:
    """Read a parquet or csv file; columns not named are looked for by their usual names.

    Times may be seconds, milliseconds, microseconds or nanoseconds since the epoch, time stamps or
    ISO 8601 text. Rows of one second keep the order of the file. ``limit`` keeps the earliest rows.

    Parameters
    ----------
    artist
        Column of the artist's name. The item is then a title, and a track is both names as
        :func:`contracts.ids.track_key` folds them. Rows with placeholder names are skipped, as the
        learner skips them. There is no default: without it items are taken as they are.
    heard_ms
        Column of the time heard, milliseconds; by default ``ms_played`` where the file has it.

    Raises
    ------
    UnreadableInteractions
        If the file is no such table, or a column is missing or not what it should be.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "plays.csv"
    ...     _ = path.write_text("user_id,track_id,ts\\nbob,run,20\\nada,run,10\\nada,,11\\n")
    ...     data = read_interactions(path)
    >>> data.users.tolist(), data.seconds.tolist(), data.incomplete
    ([0, 1], [10, 20], {'user': 0, 'item': 1, 'time': 0})
    """
    rows = read_in_time_order(path, user=user, item=item, time=time, limit=limit, artist=artist)
    names = rows.table[rows.columns[1]]
    items, artists = _numbered(names), None
    if artist is not None:
        items, artists = _named(_column(rows.table, artist, "artist"), names)
    return Interactions(
        users=_numbered(rows.table[rows.columns[0]]),
        items=items,
        seconds=rows.seconds,
        ratios=_ratios(rows.table, heard_ms),
        columns=rows.columns,
        incomplete=rows.incomplete,
        artists=artists,
    )


def read_in_time_order(
    path: Path,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    limit: int | None = None,
    artist: str | None = None,
) -> TimeOrdered:
    """Return the rows that have a user, an item and a time, and count those that have not.

    With ``artist``, the name of a column, rows also need an artist, and no placeholder names.

    See :func:`read_interactions` for the parameters and errors.
    """
    table = _read_table(path)
    chosen = (
        _choose(table, user, USER_COLUMNS, "user"),
        _choose(table, item, ITEM_COLUMNS, "item"),
        _choose(table, time, TIME_COLUMNS, "time"),
    )
    incomplete = {}
    for what, name in zip(("user", "item", "time"), chosen, strict=True):
        whole = table.filter(_present(table[name]))
        incomplete[what] = table.num_rows - whole.num_rows
        table = whole
    if artist is not None:
        whole = table.filter(_present(_column(table, artist, "artist")))
        incomplete["artist"] = table.num_rows - whole.num_rows
        table = whole.filter(_meaningful(_column(whole, artist, "artist"), whole[chosen[1]]))
        incomplete["name"] = whole.num_rows - table.num_rows
    seconds = _seconds(table[chosen[2]], chosen[2])
    order = np.argsort(seconds, kind="stable")[:limit]
    return TimeOrdered(table.take(pa.array(order)), seconds[order], chosen, incomplete)


def _column(table: pa.Table, name: str, what: str) -> pa.ChunkedArray:
    return table[_choose(table, name, (), what)]


def _encoded(column: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return a code for each row, and the text of each code."""
    codes = column.cast(pa.large_string()).combine_chunks().dictionary_encode()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.combine_chunks()
    numbers = codes.indices.to_numpy(zero_copy_only=False)
    return np.asarray(numbers, np.int64), codes.dictionary.to_pylist()


def _meaningful(artists: pa.ChunkedArray, titles: pa.ChunkedArray) -> pa.Array:
    """Return which rows have two names that name something."""
    by, artist_names = _encoded(artists)
    of, title_names = _encoded(titles)
    no_artist = np.array([is_placeholder(name, "") for name in artist_names], np.bool_)
    no_title = np.array([is_placeholder("", name) for name in title_names], np.bool_)
    return pa.array(~(no_artist[by] | no_title[of]))


def _named(
    artists: pa.ChunkedArray, titles: pa.ChunkedArray
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return numbers of tracks and of artists by their folded names, by first appearance."""
    by, of = _folded(artists), _folded(titles)
    width = int(of.max(initial=0)) + 1
    return _by_appearance(by * width + of), _by_appearance(by)


def _folded(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    codes, names = _encoded(column)
    numbers: dict[str, int] = {}
    folded = [numbers.setdefault(normalise(name), len(numbers)) for name in names]
    return np.array(folded, np.int64)[codes]


def _by_appearance(codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return np.asarray(number[inverse.ravel()], np.int64)


def _present(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return where a column has a value: not null, not empty text, not NaN."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(column), ""), False)
    if pa.types.is_floating(kind):
        return pc.fill_null(pc.is_finite(column), False)
    return pc.is_valid(column)


def _read_table(path: Path) -> pa.Table:
    try:
        if path.suffix.lower() in {".csv", ".tsv", ".gz"}:
            tabs = pyarrow.csv.ParseOptions(delimiter="\t" if ".tsv" in path.name else ",")
            return pyarrow.csv.read_csv(path, parse_options=tabs)
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableInteractions(f"{path.name}: {error}") from error


def _choose(table: pa.Table, wanted: str | None, usual: Sequence[str], what: str) -> str:
    by_name = {name.lower(): name for name in reversed(table.column_names)}
    for name in [wanted] if wanted else usual:
        if name.lower() in by_name:
            return str(by_name[name.lower()])
    raise UnreadableInteractions(
        f"no column for the {what}: name it with --{what}; "
        f"there are {', '.join(table.column_names)}"
    )


def _seconds(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.int64]:
    kind = column.type
    try:
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            text = pc.replace_substring_regex(column, r"(Z|[+-]00:?00)$", "")
            column = text.cast(pa.timestamp("us"))
            kind = column.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            column = column.cast(pa.timestamp("us", getattr(kind, "tz", None)))
            return np.asarray(column.cast(pa.int64()).to_numpy() // 1_000_000, np.int64)
        values = np.asarray(column.to_numpy(), np.float64)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise UnreadableInteractions(f"column {name} does not hold times: {error}") from error
    middle = float(np.median(np.abs(values))) if len(values) else 0.0
    for bound, unit in _UNITS:
        if middle > bound:
            return np.asarray(values // unit, np.int64)
    return np.asarray(values, np.int64)


def _numbered(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    codes = column.combine_chunks().dictionary_encode()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.combine_chunks()
    return np.asarray(codes.indices.to_numpy(zero_copy_only=False), np.int64)


def _ratios(table: pa.Table, heard_ms: str | None = None) -> npt.NDArray[np.uint8]:
    """Return how much was heard of each row, by :func:`contracts.plays.heard`."""
    if heard_ms is not None:
        heard_ms = _choose(table, heard_ms, (), "heard")
    flags = "skipped" in table.column_names and pa.types.is_boolean(table["skipped"].type)
    columns = [
        _whole(table, heard_ms or "ms_played"),
        _whole(table, "duration_ms"),
        np.asarray(table["skipped"].to_pylist(), object) if flags else None,
    ]
    if all(column is None for column in columns):
        return np.full(table.num_rows, UNKNOWN, np.uint8)
    nothing = np.full(table.num_rows, None, object)
    rows = zip(*(nothing if column is None else column for column in columns), strict=True)
    return np.fromiter((heard(*row) for row in rows), np.uint8, table.num_rows)


def _whole(table: pa.Table, name: str) -> npt.NDArray[np.object_] | None:
    """Return a column of numbers as whole ones, ``None`` where there is none."""
    if name not in table.column_names:
        return None
    values = np.asarray(table[name].to_numpy(), np.float64)
    known = np.isfinite(values) & (np.abs(values) < 2**53)
    whole = np.full(len(values), None, object)
    whole[known] = values[known].astype(np.int64).tolist()
    return whole
