"""What is held of a listener, store by store, as pieces of text."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from api.serving.lookup import document_at, document_of_key
from contracts.features import Listener
from contracts.ids import user_key
from contracts.lake import TABLES
from online_model import Recommender

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_PAGE = 500
_HOLDERS = """
    select t.table_name, array_agg(c.column_name::text order by c.ordinal_position)
    from information_schema.tables t
    join information_schema.columns c using (table_schema, table_name)
    where t.table_schema = current_schema() and t.table_type = 'BASE TABLE'
    group by t.table_name having 'user_id' = any(array_agg(c.column_name::text))
    order by t.table_name
"""
_AUDIT = """
    select to_jsonb(a) - 'previous' - 'hash' from audit a
    where subject = pseudonym(%(user)s) or actor = pseudonym(%(user)s) order by seq
"""
#: What proves who somebody is never leaves: of a token only the id that listings show.
_SECRET = {"token_hash", "scrobbler_md5", "made_by", "password_hash"}


async def tables(connection: Connection) -> dict[str, list[str]]:
    """Return ``table -> columns`` of every table that holds rows of listeners."""
    return dict(await (await connection.execute(_HOLDERS)).fetchall())


async def rows(
    connection: Connection, user: str, table: str, columns: list[str]
) -> AsyncIterator[bytes]:
    """Yield a listener's rows of a table as JSON lines, without secrets."""
    shown = [sql.Identifier(name) for name in columns if name not in _SECRET]
    extra = sql.SQL(
        ", left(encode(token_hash, 'hex'), 12) as id" if "token_hash" in columns else ""
    )
    query = sql.SQL(
        "select to_jsonb(t) from (select {columns}{extra} from {table} where user_id = %(user)s) t"
    ).format(columns=sql.SQL(", ").join(shown), extra=extra, table=sql.Identifier(table))
    async for page in _pages(connection, query, user):
        yield b"".join(msgspec.json.encode(row[0]) + b"\n" for row in page)


async def table_csv(
    connection: Connection, user: str, table: str, columns: list[str]
) -> AsyncIterator[bytes]:
    """Yield the same as CSV with a header."""
    query = sql.SQL("select {columns} from {table} where user_id = %(user)s").format(
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)), table=sql.Identifier(table)
    )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    async for page in _pages(connection, query, user):
        writer.writerows([_cell(value) for value in row] for row in page)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


async def audited(connection: Connection, user: str) -> AsyncIterator[bytes]:
    """Yield what the audit trail says by and about a listener."""
    async for page in _pages(connection, sql.SQL(_AUDIT), user):
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


async def lake(folder: Path, table: str, user: str) -> AsyncIterator[bytes]:
    """Yield a listener's rows of a lake table as JSON lines."""
    batches = await asyncio.to_thread(_scan, folder / table, user)
    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
        if batch.num_rows:
            yield b"".join(
                msgspec.json.encode(row, enc_hook=str) + b"\n" for row in batch.to_pylist()
            )


def lake_tables(folder: Path) -> list[str]:
    """Return the lake's tables that are on this host, but plays: the history holds them whole."""
    return [t for t in TABLES if t != "plays" and (folder / t / "_delta_log").is_dir()]


def _scan(path: Path, user: str) -> Any:
    import pyarrow.compute as pc  # large, and needed for exports only
    from deltalake import DeltaTable

    dataset = DeltaTable(path).to_pyarrow_dataset()
    return iter(dataset.scanner(filter=pc.field("user_id") == user).to_batches())


async def _pages(
    connection: Connection, query: sql.SQL | sql.Composed, user: str
) -> AsyncIterator[list[tuple[Any, ...]]]:
    async with connection.cursor("export") as cursor:
        await cursor.execute(query, {"user": user})
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
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
