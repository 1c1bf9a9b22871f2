"""Any table of plays: csv with a header, one JSON object a line, parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.errors import ConfigurationError
from contracts.posted import MAX_NAME, PostedPlay, milliseconds, optional
from infra.operations.imports import csv_rows
from infra.operations.imports.lines import LongLine, lines
from infra.operations.imports.rows import (
    ImportedRecord,
    Listeners,
    Options,
    Readable,
    Refused,
    name,
    sound,
    when,
)
from online_model.interactions import TIME_COLUMNS, USER_COLUMNS

#: What a play needs -> the usual names of its column, in order of preference.
USUAL: dict[str, tuple[str, ...]] = {
    "artist": ("artist_name", "artist", "artistname", "artist_credit_name"),
    "title": ("track_name", "title", "track", "trackname", "recording_name", "song_name", "song"),
    "time": ("uts", *TIME_COLUMNS, "utc_time"),
    "user": USER_COLUMNS,
    "album": ("album_name", "album", "release_name"),
    "recording_mbid": ("recording_mbid", "track_mbid"),
    "isrc": ("isrc",),
    "spotify_uri": ("spotify_uri", "spotify_track_uri"),
    "ms_played": ("ms_played", "msplayed"),
    "duration_ms": ("duration_ms", "track_duration_ms"),
    "skipped": ("skipped",),
    "reason_end": ("reason_end",),
    "source": ("source",),
}
NEEDED = ("artist", "title", "time")
_ROWS = 4096


def choose(present: list[str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return what a play needs -> column of this table.

    Raises
    ------
    ConfigurationError
        Naming what has no column, the columns there are, and the option to use.
    """
    by_name = {column.partition("#")[0].strip().lower(): column for column in reversed(present)}
    chosen = {}
    for what, usual in USUAL.items():
        for candidate in [wanted[what].lower()] if wanted.get(what) else usual:
            if candidate in by_name:
                chosen[what] = by_name[candidate]
                break
        else:
            if what in NEEDED or wanted.get(what):
                there = ", ".join(column[:40] for column in present[:30])
                hint = "; a file of ids without names can be posted with segue replay"
                raise ConfigurationError(
                    f"no column {wanted.get(what) or 'for the ' + what}: name it with "
                    f"--column {what}=NAME; there are {there}{hint if what != 'time' else ''}"
                )
    return chosen


class RowReader:
    """Turns rows of a table into plays."""

    def __init__(self, chosen: Mapping[str, Any], options: Options, source: str) -> None:
        self._chosen = chosen
        self._listener = Listeners(options.user)
        self._source = source

    def __call__(self, row: Any) -> PostedPlay:
        """Return the play of a row, which is indexed by what the columns were chosen as."""
        held = {what: row[at] for what, at in self._chosen.items()}
        at = held["time"]
        if at is None or at == "":
            raise Refused("no-time", "the row has no time")
        user = held.get("user")
        return PostedPlay(
            artist=name(held["artist"], "artist"),
            title=name(held["title"], "title"),
            played_at=when(at),
            source=optional(held.get("source")) or self._source,
            user=self._listener(user if user is None or isinstance(user, str) else str(user)),
            album=optional(held.get("album"), MAX_NAME),
            ms_played=milliseconds(held.get("ms_played")),
            duration_ms=milliseconds(held.get("duration_ms")) or None,
            skipped=_flag(held.get("skipped")),
            reason_end=optional(held.get("reason_end")),
            recording_mbid=optional(held.get("recording_mbid")),
            isrc=optional(held.get("isrc")),
            spotify_uri=optional(held.get("spotify_uri")),
        )


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def csv(stream: Readable, options: Options, source: str = "import/csv") -> Iterator[ImportedRecord]:
    """Read csv with a header; comma, semicolon, tab or bar between the fields."""
    source_lines = lines(stream)
    head = next(source_lines, "")
    delimiter = csv_rows.delimiter_of(head)
    header = next(csv_rows.rows([head], delimiter, 0), None)
    columns = [column.strip() for column in (header.fields if header else None) or []]
    chosen = choose(columns, options.columns)
    at = {what: columns.index(column) for what, column in chosen.items()}
    yield from positional(source_lines, delimiter, len(columns), at, options, source, head)


def positional(
    source_lines: Iterator[str],
    delimiter: str,
    width: int,
    at: Mapping[str, int],
    options: Options,
    source: str,
    head: str = "",
) -> Iterator[ImportedRecord]:
    """Read csv rows of ``width`` fields, each field found by its place."""
    read = RowReader(at, options, source)
    for row in csv_rows.rows(source_lines, delimiter, width, first=2 if head else 1):
        try:
            if row.fields is None or len(row.fields) != width:
                found = "no" if row.fields is None else len(row.fields)
                raise Refused("bad-columns", f"{found} fields where {width} are expected")
            yield ImportedRecord(row.line, play=read(row.fields))
        except Refused as refused:
            yield ImportedRecord(row.line, refused=refused, raw=row.raw, head=head)


def jsonl(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read one flat JSON object a line; columns are chosen for each by the names it has."""
    readers: dict[tuple[str, ...], RowReader] = {}
    for number, line in enumerate(lines(stream), 1):
        if not line.strip():
            continue
        try:
            if isinstance(line, LongLine):
                raise Refused("too-long", "the line is too long")
            yield ImportedRecord(number, play=_object_reader(readers, options, line))
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=line)


def _object_reader(
    readers: dict[tuple[str, ...], RowReader], options: Options, line: str
) -> PostedPlay:
    try:
        row = msgspec.json.decode(sound(line, "line"), type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused("bad-json", f"no JSON object: {error}") from None
    shape = tuple(row)
    if shape not in readers:
        try:
            chosen = choose(list(row), options.columns)
        except ConfigurationError as error:
            raise Refused("bad-columns", str(error)) from None
        if len(readers) < 1000:  # of a file in which every line has other names, keep none
            readers[shape] = RowReader(chosen, options, "import/jsonl")
        else:
            return RowReader(chosen, options, "import/jsonl")(row)
    return readers[shape](row)


def parquet(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read parquet, a few thousand rows at a time; the stream must be able to seek.

    Raises
    ------
    ConfigurationError
        The file is torn, or a column is missing.
    """
    try:
        file = pq.ParquetFile(stream)
        chosen = choose(file.schema_arrow.names, options.columns)
        read = RowReader({what: what for what in chosen}, options, "import/parquet")
        number = 0
        for batch in file.iter_batches(_ROWS, columns=list(dict.fromkeys(chosen.values()))):
            columns = {what: _plain(batch[column]) for what, column in chosen.items()}
            for values in zip(*columns.values(), strict=True):
                number += 1
                row = dict(zip(columns, values, strict=True))
                try:
                    yield ImportedRecord(number, play=read(row))
                except Refused as refused:
                    shown = {chosen[what]: _shown(value) for what, value in row.items()}
                    raw = msgspec.json.encode(shown).decode()
                    yield ImportedRecord(number, refused=refused, raw=raw, format="jsonl")
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise ConfigurationError(f"the parquet file cannot be read: {error}") from None


def _plain(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        # Finer than microseconds is no datetime.
        column = column.cast(pa.timestamp("ms", column.type.tz), safe=False)
    return list(column.to_pylist())


def _shown(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
