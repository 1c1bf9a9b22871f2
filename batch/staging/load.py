"""Bulk loading: COPY into a temporary table, then one merge; bad rows go to ``rejected_records``.

A batch is tried as a whole first. Only when PostgreSQL refuses it are the rows judged, all of them
in one statement per column type and constraint: the constraints are read from the catalogue of the
database, so the table's own rules are the only rules, and a refused row carries the name of the
rule it broke.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from batch.staging.tables import Row, Table

#: Rows per transaction: bounds memory, costs little speed.
BATCH = 50_000
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class Loaded:
    """Result of a load: `written` rows were new or changed, `rejected` counts by reason.

    ``read`` also counts unchanged rows and rows repeated within a batch.
    """

    read: int = 0
    written: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


class Loader:
    """Loads one staging table over one connection.

    Parameters
    ----------
    connection
        Each batch is a transaction of its own, or a savepoint where one is open already.
    """

    def __init__(self, connection: psycopg.Connection[Any], table: Table) -> None:
        self._connection = connection
        self._table = table
        self._incoming = sql.Identifier(f"incoming_{table.name}")
        self._types = self._read_types()
        self.loaded = Loaded()
        texts = sql.SQL(", ").join(
            sql.SQL("{} text").format(sql.Identifier(c)) for c in table.columns
        )
        connection.execute(
            sql.SQL("create temp table if not exists {} (seq int, {})").format(
                self._incoming, texts
            )
        )
        self._update, self._insert = self._write_merge()

    def load(self, rows: Iterable[Row], batch: int = BATCH) -> Loaded:
        """Load rows; return the figures of everything loaded so far.

        Unknown values (``None``) never replace known ones, and older observations never replace
        newer ones; within a batch, later rows are the newer.
        """
        width = len(self._table.key)
        for chunk in _chunks(rows, batch):
            self.loaded.read += len(chunk)
            distinct = _merge(chunk, width)
            with self._connection.transaction():
                self._copy(distinct)
                try:
                    with self._connection.transaction():
                        written = self._merge_in()
                except (psycopg.DataError, psycopg.IntegrityError):
                    self._reject_bad_rows()
                    written = self._merge_in()
                if written:
                    unsettled(self._connection)
                self.loaded.written += written
        return self.loaded

    def _merge_in(self) -> int:
        # Two plain statements under a lock take a quarter of the time of one ON CONFLICT, which
        # looks every row up in the index before and after it writes it.
        self._connection.execute(
            sql.SQL("lock table {} in share row exclusive mode").format(
                sql.Identifier(self._table.name)
            )
        )
        changed = self._connection.execute(self._update).rowcount
        return changed + self._connection.execute(self._insert).rowcount

    def _copy(self, rows: list[Row]) -> None:
        statement = sql.SQL("copy {} from stdin").format(self._incoming)
        self._connection.execute(sql.SQL("truncate {}").format(self._incoming))
        try:
            # In a savepoint of its own: one NUL character fails the whole COPY.
            with self._connection.transaction(), self._connection.cursor().copy(statement) as copy:
                for seq, row in enumerate(rows):
                    copy.write_row((seq, *row))
        except (psycopg.DataError, UnicodeEncodeError):
            good = [row for row in rows if _storable(row)]
            if len(good) == len(rows):
                raise
            for row in rows:
                if not _storable(row):
                    self._reject("not-text", "NUL or half a surrogate pair in a text", _raw(row))
            self._copy(good)

    def _reject_bad_rows(self) -> None:
        for reason, detail, condition in [*self._type_rules(), *self._table_rules()]:
            moved = self._connection.execute(
                sql.SQL("delete from {} i where {} returning to_jsonb(i) - 'seq'").format(
                    self._incoming, condition
                )
            ).fetchall()
            for (document,) in moved:
                self._reject(reason, detail, msgspec.json.encode(document).decode())

    def _type_rules(self) -> Iterator[tuple[str, str, sql.Composed]]:
        for column, (kind, required) in self._types.items():
            name = sql.Identifier(column)
            if required:
                yield (
                    f"{column}-missing",
                    "the column is required",
                    sql.SQL("{} is null").format(name),
                )
            yield (
                f"{column}-type",
                f"not a valid {kind}",
                sql.SQL("not pg_input_is_valid({}, {})").format(name, sql.Literal(kind)),
            )

    def _table_rules(self) -> Iterator[tuple[str, str, sql.Composed]]:
        """Yield the table's check constraints, each over the typed values of an incoming row."""
        found = self._connection.execute(
            "select conname, pg_get_expr(conbin, conrelid) from pg_constraint "
            "where conrelid = %s::regclass and contype = 'c' order by conname",
            (self._table.name,),
        ).fetchall()
        typed = self._typed_columns()
        for name, expression in found:
            yield (
                name,
                expression,
                sql.SQL(
                    "exists (select 1 from (select {}) t where not ({}))"  # null passes, as in SQL
                ).format(typed, sql.SQL(expression)),
            )

    def _reject(self, reason: str, detail: str, raw: str) -> None:
        counts = self.loaded.rejected
        counts[reason] = counts.get(reason, 0) + 1
        source = msgspec.json.decode(raw).get("source") or "unknown"
        reject(self._connection, source, self._table.name, reason, detail, raw)

    def _read_types(self) -> dict[str, tuple[str, bool]]:
        rows = self._connection.execute(
            "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            (self._table.name,),
        ).fetchall()
        found = {name: (kind, required) for name, kind, required in rows}
        return {column: found[column] for column in self._table.columns}

    def _typed_columns(self) -> sql.Composed:
        return sql.SQL(", ").join(
            sql.SQL("i.{0}::{1} as {0}").format(sql.Identifier(column), sql.SQL(kind))
            for column, (kind, _) in self._types.items()
        )

    def _write_merge(self) -> tuple[sql.Composed, sql.Composed]:
        """Return the statements that update known rows and insert new ones."""
        table = self._table
        merged = sql.SQL(", ").join(
            sql.SQL("{0} = coalesce(n.{0}, t.{0})").format(sql.Identifier(c)) for c in table.values
        )
        says_more = sql.SQL(" or ").join(
            sql.SQL("coalesce(n.{0}, t.{0}) is distinct from t.{0}").format(sql.Identifier(c))
            for c in table.values
        )
        same = sql.SQL(" and ").join(
            sql.SQL("t.{0} = n.{0}").format(sql.Identifier(c)) for c in table.key
        )
        parts = {
            "target": sql.Identifier(table.name),
            "columns": sql.SQL(", ").join(map(sql.Identifier, table.columns)),
            "new": sql.SQL("(select {} from {} i) n").format(self._typed_columns(), self._incoming),
            "merged": merged,
            "says_more": says_more,
            "same": same,
        }
        update = sql.SQL(
            "update {target} t set {merged}, observed_at = n.observed_at from {new} "
            "where {same} and n.observed_at >= t.observed_at and ({says_more})"
        ).format(**parts)
        insert = sql.SQL(
            "insert into {target} ({columns}) select * from {new} "
            "where not exists (select from {target} t where {same})"
        ).format(**parts)
        return update, insert


def unsettled(connection: psycopg.Connection[Any]) -> None:
    """Record, in the current transaction, that the catalogue has new rows to settle."""
    connection.execute("update catalogue_state set staged = staged + 1")


def reject(
    connection: psycopg.Connection[Any], source: str, target: str, reason: str, detail: str,
    raw: str,
) -> None:  # fmt: skip
    """Keep a record that cannot be used; the same record again is the same row."""
    clean = raw.encode("utf-8", "replace").decode().replace("\x00", "\\u0000")
    connection.execute(
        "insert into rejected_records (source, target, digest, reason, detail, raw) "
        "values (%s, %s, %s, %s, %s, %s) "
        "on conflict (source, target, digest) do update set last_seen = now()",
        (source, target, hashlib.sha256(clean.encode()).hexdigest(), reason, detail, clean),
    )


def _chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _merge(rows: list[Row], width: int) -> list[Row]:
    """Return one row a key: what rows of one key know together, the last word counting."""
    merged: dict[Row, Row] = {}
    for row in rows:
        key = row[:width]
        if (known := merged.get(key)) is not None:
            row = tuple(k if v is None else v for k, v in zip(known, row, strict=True))
        merged[key] = row
    return list(merged.values())


def _storable(row: Row) -> bool:
    texts = [value for value in row if isinstance(value, str)]
    return not any("\x00" in text or _SURROGATES.search(text) for text in texts)


def _raw(row: Row) -> str:
    clean = [
        value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for value in row
    ]
    return msgspec.json.encode({"source": clean[0], "values": clean}).decode()
