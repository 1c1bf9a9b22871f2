"""Closes the gaps of fakesnow that dbt-snowflake falls into; importing this module is enough.

Each patch states what a client saw without it. They hold for the whole process: fakesnow has no
other door.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import duckdb
import fakesnow.arrow
import fakesnow.transforms
import pyarrow as pa
import pyarrow.compute as pc
from fakesnow.cursor import FakeSnowflakeCursor
from sqlglot import exp

_transform = FakeSnowflakeCursor._transform
_execute = FakeSnowflakeCursor.execute
_run = FakeSnowflakeCursor._execute
_merge = fakesnow.transforms.merge
_timestamps = fakesnow.arrow.timestamp_to_sf_struct


def _plain_names(self: Any, expression: Any, params: Any) -> Any:
    """Make temporary tables with a schema ordinary ones.

    dbt names its temporary tables ``db.schema.x__dbt_tmp``; DuckDB keeps temporary tables in a
    catalog of their own. dbt drops most of them itself.
    """
    if isinstance(expression, exp.Create) and expression.kind in ("TABLE", "VIEW"):
        table, properties = expression.this.find(exp.Table), expression.args.get("properties")
        if table is not None and table.args.get("db") is not None and properties is not None:
            kept = [p for p in properties.expressions if not isinstance(p, exp.TemporaryProperty)]
            expression.set("properties", exp.Properties(expressions=kept) if kept else None)
    return _transform(self, expression, params)


def _unpoisoned(self: Any, *args: Any, **options: Any) -> Any:
    """Roll back after an error: DuckDB refuses every statement of an aborted transaction.

    (Snowflake keeps the transaction open; nobody here relies on it.)
    """
    try:
        return _execute(self, *args, **options)
    except Exception:
        with suppress(duckdb.Error):
            self._duck_conn.rollback()
        self._conn._in_transaction = False
        raise


def _without_metadata(self: Any, transformed: Any, params: Any = None) -> Any:
    """Record no text lengths of the table that replaces MERGE.

    dbt merges inside a transaction, and DuckDB writes to one database in a transaction only.
    """
    if isinstance(transformed, exp.Create):
        table = transformed.find(exp.Table)
        if table is not None and table.name.lower() == "merge_candidates":
            transformed.args.pop("text_lengths", None)
            transformed.args.pop("table_comment", None)
    return _run(self, transformed, params)


def _qualified_merge(merge: Any) -> Any:
    """Qualify inserted values with the source: dbt writes bare names, the emulated join has two."""
    if isinstance(merge, exp.Merge):
        source = merge.args["using"].alias_or_name
        for when in merge.args["whens"].expressions:
            then = when.args.get("then")
            if isinstance(then, exp.Insert) and then.expression is not None:
                for value in then.expression.expressions:
                    if isinstance(value, exp.Column) and not value.table:
                        value.set("table", exp.to_identifier(source))
    return _merge(merge)


def _with_nulls(times: Any) -> Any:
    """Keep null timestamps null: they arrived as 1970-01-01, and no snapshot version was open."""
    if isinstance(times, pa.ChunkedArray):
        times = times.combine_chunks()
    if times.null_count == 0:
        return _timestamps(times)
    filled = _timestamps(pc.fill_null(times, pa.scalar(0, times.type)))
    names = [filled.type.field(i) for i in range(filled.type.num_fields)]
    parts = [filled.field(i) for i in range(filled.type.num_fields)]
    return pa.StructArray.from_arrays(parts, fields=names, mask=times.is_null())


_cursor: Any = FakeSnowflakeCursor
_cursor._transform, _cursor.execute, _cursor._execute = _plain_names, _unpoisoned, _without_metadata
_transforms: Any = fakesnow.transforms
_transforms.merge = _qualified_merge
_arrow: Any = fakesnow.arrow
_arrow.timestamp_to_sf_struct = _with_nulls

logging.getLogger("fakesnow.server").setLevel(logging.CRITICAL)  # it logs every statement
