"""Any table of plays: csv with a header, one JSON object a line, parquet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from itertools import chain, islice
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from contracts.errors import ConfigurationError
from contracts.posted import MAX_NAME, PostedPlay, milliseconds, optional
from infra.operations.imports import csv_rows
from infra.operations.imports.dates import LOOKED_AT, UNDECIDED, is_numeric, order_of
from infra.operations.imports.json_stream import decoded, elements
from infra.operations.imports.lines import LongLine, lines
from infra.operations.imports.rows import (
    DAYS,
    ImportedRecord,
    Listeners,
    Options,
    Readable,
    Refused,
    flag,
    name,
    sound,
    when,
)
from online_model.interactions import TIME_COLUMNS, USER_COLUMNS

#: Columns that give the end of a play; the start is that less the time heard.
ENDED = ("endtime", "end_time", "ended_at", "event end timestamp")
#: What a play needs -> the usual names of its column, in order of preference.
USUAL: dict[str, tuple[str, ...]] = {
    "artist": (
        "artist_name",
        "artist",
        "artistname",
        "artist name",
        "artist_credit_name",
        "master_metadata_album_artist_name",
    ),
    "title": (
        "track_name",
        "title",
        "track",
        "trackname",
        "recording_name",
        "song_name",
        "song name",
        "song",
        "master_metadata_track_name",
        "content name",
    ),
    "time": ("uts", "timems", *TIME_COLUMNS, "utc_time", "last played date", "date played"),
    "ended": ENDED,
    "user": USER_COLUMNS,
    "album": (
        "album_name",
        "album",
        "release_name",
        "album name",
        "container name",
        "master_metadata_album_album_name",
    ),
    "recording_mbid": ("recording_mbid", "track_mbid"),
    "isrc": ("isrc",),
    "spotify_uri": ("spotify_uri", "spotify_track_uri"),
    "ms_played": ("ms_played", "msplayed", "play duration milliseconds"),
    "duration_ms": ("duration_ms", "track_duration_ms", "media duration in milliseconds"),
    "skipped": ("skipped",),
    "event": ("event", "event type"),
    "reason_end": ("reason_end", "end reason type"),
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
    chosen: dict[str, str] = {}
    for what, usual in USUAL.items():
        for candidate in [wanted[what].lower()] if wanted.get(what) else usual:
            if candidate in by_name:
                chosen[what] = by_name[candidate]
                break
        else:
            if what == "time" and not wanted.get(what) and (by_name.keys() & set(ENDED)):
                continue  # the end will do
            if what in NEEDED or wanted.get(what):
                there = ", ".join(column[:40] for column in present[:30])
                hint = "; a file of ids without names can be posted with segue replay"
                raise ConfigurationError(
                    f"no column {wanted.get(what) or 'for the ' + what}: name it with "
                    f"--column {what}=NAME; there are {there}{hint if what != 'time' else ''}"
                )
    if wanted.get("time", "").lower() in ENDED:
        chosen["ended"] = chosen.pop("time")
    elif "ended" in chosen and "ms_played" in chosen and not wanted.get("time"):
        chosen.pop("time", None)  # a date beside the end is often the day alone
    elif "time" in chosen:
        chosen.pop("ended", None)
    return chosen


class RowReader:
    """Turns rows of a table into plays."""

    def __init__(
        self, chosen: Mapping[str, Any], options: Options, source: str, order: str = UNDECIDED
    ) -> None:
        self._chosen = chosen
        self._order = order
        self._days: Counter[str] = Counter()
        self._listener = Listeners(options.user)
        self._source = source

    def __call__(self, row: Any) -> PostedPlay:
        """Return the play of a row.

        Parameters
        ----------
        row
            Values by column name or position, as ``chosen`` names them.

        Raises
        ------
        Refused
            The row is not a play, or lacks artist, title or time.
        """
        held = {what: row[at] for what, at in self._chosen.items()}
        if not _is_play(held.get("event")):
            raise Refused("no-play", "the row is an event of another kind", dropped=True)
        ms_played = milliseconds(held.get("ms_played"))
        if ms_played == 0:
            raise Refused("not-heard", "0 ms were played", dropped=True)
        user = held.get("user")
        return PostedPlay(
            artist=name(held["artist"], "artist"),
            title=name(held["title"], "title"),
            played_at=self._start(held, ms_played),
            source=optional(held.get("source")) or self._source,
            user=self._listener(user if user is None or isinstance(user, str) else str(user)),
            album=optional(held.get("album"), MAX_NAME),
            ms_played=ms_played,
            duration_ms=milliseconds(held.get("duration_ms")) or None,
            skipped=flag(held.get("skipped")),
            reason_end=optional(held.get("reason_end")),
            recording_mbid=optional(held.get("recording_mbid")),
            isrc=optional(held.get("isrc")),
            spotify_uri=optional(held.get("spotify_uri")),
        )

    def _start(self, held: Mapping[str, Any], ms_played: int | None) -> int:
        """Return when a play began, milliseconds since the epoch, UTC."""
        at, ended = held.get("time"), held.get("ended")
        if at is not None and at != "":
            if day := _day_of(at):
                return when(at, self._order) + self._in_day(day)
            return when(at, self._order)
        if ended is None or ended == "":
            raise Refused("no-time", "the row has no time")
        return when(ended, self._order) - (ms_played or 0)

    def _in_day(self, day: str) -> int:
        """Lay the plays of a file that knows days only one after the other, in its order, ms.

        Plays of one day would otherwise share one second, and those of one song one id.
        """
        number = self._days[day]
        self._days[day] += 1
        return min(240 * (number % 360) + number // 360, 86_399) * 1000


_DAY = re.compile(r"\d{8}(?:\.0)?|\d{4}[-/]\d{2}[-/]\d{2}|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})")


def _day_of(at: object) -> str:
    """Return the day of a time that gives nothing but a day, as text; else an empty text."""
    text = ""
    if isinstance(at, str):
        text = at.strip()
    elif isinstance(at, date) and not isinstance(at, datetime):
        text = at.isoformat()
    elif isinstance(at, int | float) and DAYS[0] <= at <= DAYS[1]:
        text = f"{at:.0f}"
    return text if _DAY.fullmatch(text) else ""


_PLAYS = frozenset({"", "play", "played", "scrobble", "listen", "play_end", "1"})


def _is_play(event: object) -> bool:
    """Whether a row of a log of events is a play; other events are loves, likes, starts."""
    return event is None or str(event).strip().lower() in _PLAYS


def csv(stream: Readable, options: Options, source: str = "import/csv") -> Iterator[ImportedRecord]:
    """Read csv with a header; comma, semicolon, tab or bar between the fields."""
    source_lines = lines(stream)
    head, number = csv_rows.head_of(source_lines)
    delimiter = csv_rows.delimiter_of(head)
    header = next(csv_rows.rows([head], delimiter, 0), None)
    columns = [column.strip() for column in (header.fields if header else None) or []]
    chosen = choose(columns, options.columns)
    at = {what: columns.index(column) for what, column in chosen.items()}
    yield from positional(
        source_lines, delimiter, len(columns), at, options, source, head, first=number + 1
    )


def positional(
    source_lines: Iterator[str],
    delimiter: str,
    width: int,
    at: Mapping[str, int],
    options: Options,
    source: str,
    head: str = "",
    first: int = 1,
) -> Iterator[ImportedRecord]:
    """Read csv rows of ``width`` fields from line ``first`` on, each field found by its place."""
    rows = csv_rows.rows(source_lines, delimiter, width, first=first)
    order, rows = _order(rows, width, at.get("time", at.get("ended", 0)))
    read = RowReader(at, options, source, order)
    for row in rows:
        try:
            if row.fields is None or len(row.fields) != width:
                found = "no" if row.fields is None else len(row.fields)
                raise Refused("bad-columns", f"{found} fields where {width} are expected")
            yield ImportedRecord(row.line, play=read(row.fields))
        except Refused as refused:
            yield ImportedRecord(row.line, refused=refused, raw=row.raw, head=head)


def _order(rows: Iterator[csv_rows.Row], width: int, at: int) -> tuple[str, Iterator[csv_rows.Row]]:
    """Return the order of day and month in a column of dates, and the rows again."""
    looked_at = list(islice(rows, 20))

    def dates() -> list[str]:
        fields = (row.fields for row in looked_at)
        return [f[at] for f in fields if f and len(f) == width and is_numeric(f[at])]

    if not dates():
        return UNDECIDED, chain(looked_at, rows)
    looked_at += islice(rows, LOOKED_AT)
    return order_of(dates()), chain(looked_at, rows)


def jsonl(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read one flat JSON object a line; columns are chosen for each by the names it has."""
    readers: dict[tuple[str, ...], RowReader] = {}
    for number, line in enumerate(lines(stream), 1):
        if not line.strip():
            continue
        try:
            if isinstance(line, LongLine):
                raise Refused("too-long", "the line is too long")
            row = decoded(sound(line, "line"))
            if not isinstance(row, dict):
                raise Refused("bad-json", "the line is not a JSON object")
            yield ImportedRecord(number, play=_of_object(readers, options, row))
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=line)


def json(stream: Readable, options: Options) -> Iterator[ImportedRecord]:
    """Read flat objects in an array, in pages, or in an object of columns."""
    readers: dict[tuple[str, ...], RowReader] = {}
    for number, element in enumerate(elements(stream, lambda row: has_columns(row, options)), 1):
        try:
            if element.torn:
                raise Refused("bad-json", f"unreadable: {element.torn}")
            if not isinstance(element.value, dict):
                raise Refused("bad-shape", "the element is not an object")
            yield ImportedRecord(number, play=_of_object(readers, options, element.value))
        except Refused as refused:
            yield ImportedRecord(number, refused=refused, raw=element.raw)


def has_columns(names: Collection[str], options: Options) -> bool:
    """Whether names are those of a table of plays, as usual or as mapped by the caller."""
    if options.columns:
        return any(column in names for column in options.columns.values())
    present = {column.strip().lower() for column in names}
    return all(present & {*USUAL[what], *(ENDED if what == "time" else ())} for what in NEEDED)


def _of_object(
    readers: dict[tuple[str, ...], RowReader], options: Options, row: dict[str, Any]
) -> PostedPlay:
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
