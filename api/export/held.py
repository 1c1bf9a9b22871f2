"""What is held of a listener, store by store, as pieces of text."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psycopg

from api.serving.lookup import document_at, document_of_key
from contracts.features import Listener
from contracts.history import Listen
from contracts.ids import user_key
from contracts.lake import TABLES
from contracts.lake_tables import TablePlace, present
from contracts.settings import Settings
from contracts.spreadsheet import formula_safe
from online_model import Recommender

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_PAGE = 500
_PLAYS = f"select {', '.join(Listen.__struct_fields__)} from listens_v1 where user_id = %(user)s"  # noqa: S608  the columns of the contract


async def tables(connection: Connection) -> list[str]:
    """Return every table that holds rows of listeners."""
    return [name for (name,) in await (await connection.execute("select held_tables()")).fetchall()]


async def rows(connection: Connection, user: str, table: str) -> AsyncIterator[bytes]:
    """Yield a listener's rows of a table as JSON lines, without secrets."""
    query, given = "select held_rows(%(table)s, %(user)s)", {"table": table, "user": user}
    async for page in _pages(connection, query, given):
        yield b"".join(msgspec.json.encode(row[0]) + b"\n" for row in page)


async def plays_csv(connection: Connection, user: str) -> AsyncIterator[bytes]:
    """Yield a listener's plays as CSV with a header."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(Listen.__struct_fields__)
    async for page in _pages(connection, _PLAYS, {"user": user}):
        writer.writerows([_cell(value) for value in row] for row in page)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


async def audited(connection: Connection, user: str) -> AsyncIterator[bytes]:
    """Yield the audit trail's entries by and about a listener."""
    async for page in _pages(connection, "select audited(%(user)s)", {"user": user}):
        yield b"".join(msgspec.json.encode(row[0]) + b"\n" for row in page)


def window(blob: bytes | None, playing: bytes | None, reader: Recommender | None) -> bytes:
    """Return the feature store's view: the latest plays, hidden tracks, what plays now."""
    listener = Listener.unpack(blob)
    plays = [
        {"second": int(second), **_named(reader, int(key)), "heard_percent": _heard(int(ratio))}
        for second, key, ratio in zip(
            listener.seconds, listener.tracks, listener.ratios, strict=True
        )
    ]
    hidden = [_named(reader, int(key)) for key in listener.hidden]
    now = msgspec.json.decode(playing) if playing else None
    return _json({"plays": plays, "hidden": hidden, "playing_now": now})


def modelled(reader: Recommender | None, user: str) -> bytes:
    """Return the listener's row of the model."""
    if reader is None:
        return _json({"plays": []})
    tracks, seconds, ratios = reader.window(user_key(user))
    plays = []
    for row, second, ratio in zip(tracks, seconds, ratios, strict=True):
        known = document_at(reader, int(row)) if row >= 0 else None
        name = (known.artist, known.title) if known else (None, None)
        plays.append(
            {
                "second": int(second),
                "artist": name[0],
                "title": name[1],
                "heard_percent": _heard(int(ratio)),
            }
        )
    return _json({"plays": plays})


async def lake(place: TablePlace, user: str) -> AsyncIterator[bytes]:
    """Yield a listener's rows of a lake table as JSON lines."""
    batches = await asyncio.to_thread(_scan, place, user)
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        if batch.num_rows:
            yield b"".join(
                msgspec.json.encode(row, enc_hook=str) + b"\n" for row in batch.to_pylist()
            )


async def lake_tables(settings: Settings) -> list[TablePlace]:
    """Return the lake's tables of listeners, but plays: the history holds them whole.

    Raises
    ------
    StoreUnavailable, ConfigurationError
        Object storage does not answer, or refuses the key.
    """
    found = await asyncio.to_thread(lambda: list(present(settings)))
    return [place for place in found if place.name in TABLES and place.name != "plays"]


def _scan(place: TablePlace, user: str) -> Any:
    import pyarrow.compute as pc  # large, and needed for exports only

    table = place.open()
    if table is None:
        return iter(())
    found = table.to_pyarrow_dataset().scanner(filter=pc.field("user_id") == user)
    return iter(found.to_batches())


async def _pages(
    connection: Connection, query: str, given: dict[str, str]
) -> AsyncIterator[list[tuple[Any, ...]]]:
    async with connection.cursor("export") as cursor:
        await cursor.execute(query.encode(), given)
        while page := await cursor.fetchmany(_PAGE):
            yield page


def _named(reader: Recommender | None, key: int) -> dict[str, object]:
    known = None if reader is None else document_of_key(reader, key)
    return {
        "track_key": f"{key:016x}",
        "artist": known.artist if known else None,
        "title": known.title if known else None,
    }


def _heard(ratio: int) -> int | None:
    return None if ratio == 255 else ratio


def _cell(value: object) -> object:
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return formula_safe(value) if isinstance(value, str) else value


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
