"""Snowflake: staged files, what was set aside, and every table that names the listener.

The place of a staged file is the sink's memory, so a file that holds the listener is not simply
deleted: one of the same range without their rows takes its place. Deleted rows stay readable by
time travel for as long as each schema keeps its past; no role of ours can cut that short.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch.night_lock import alone_tonight
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.lake import TABLES
from contracts.settings import Settings
from contracts.snowflake import REFUSED, Snowflake
from contracts.topics import Kind, Topics
from contracts.workers import ERASER, SNOWFLAKE_SINK
from infra.operations.erasure.log import GONE_MS
from infra.operations.erasure.target import Target
from infra.stack.progress import heartbeats
from streams.snowflake_sink.files import RangeFile
from streams.snowflake_sink.remote import Remote
from streams.snowflake_sink.stage import Stage

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

PROCESS = ERASER.name
_PLACE = ["log_id", "kafka_partition", "kafka_offset"]
_HOLDERS = """
    select t.table_schema, t.table_name, t.retention_time, c.column_name
    from {database}.information_schema.tables t
    join {database}.information_schema.columns c
        on c.table_schema = t.table_schema and c.table_name = t.table_name
    where t.table_type = 'BASE TABLE' and t.table_schema <> 'INFORMATION_SCHEMA'
    order by 1, 2
"""


def forget(settings: Settings, target: Target) -> dict[str, int]:
    """Delete a target's rows everywhere; returns how many of each table, and of staged files.

    ``time_travel_days`` is how long deleted rows can still be read by time travel;
    ``{"configured": 0}`` means that this deployment has no Snowflake.

    Raises
    ------
    StoreUnavailable
        Snowflake does not answer, or refuses the login or a statement. The next call resumes.
    """
    try:
        snowflake = Snowflake.from_env(process=PROCESS)
        return _skip(settings) if snowflake is None else _forget(settings, snowflake, target)
    except ConfigurationError as error:  # a request waits until the settings are corrected
        raise StoreUnavailable(str(error)) from None


def _skip(settings: Settings) -> dict[str, int]:
    beat = heartbeats(settings).get(SNOWFLAKE_SINK.name)
    if beat is not None and time.time() * 1000 - beat.at < GONE_MS:
        raise StoreUnavailable(
            "snowflake-sink loads plays into Snowflake, but this process has no Snowflake account: "
            "set SEGUE_SNOWFLAKE_ACCOUNT here too"
        )
    return {"configured": 0}


def _forget(settings: Settings, snowflake: Snowflake, target: Target) -> dict[str, int]:
    with _session(snowflake) as connection:
        cursor = connection.cursor()
        _make_sure_who_we_are(cursor, snowflake)
        # A build would write what it read before rows were deleted.
        with alone_tonight(settings):
            files = sum(_files(settings, snowflake, table, target) for table in _tables(target))
            removed, days = _rows(cursor, snowflake, target)
    return removed | {"files": files, "time_travel_days": days}


def _tables(target: Target) -> list[str]:
    return ["plays"] if target.event_id is not None else list(TABLES)


def _make_sure_who_we_are(cursor: SnowflakeCursor, snowflake: Snowflake) -> None:
    """Raise ``ConfigurationError`` unless the session has the role ``..._ERASER``.

    Snowflake shows pseudonyms of listeners to every other role, so the erasure would find no row.
    """
    role = f"{snowflake.database.upper()}_ERASER"
    cursor.execute(f"select is_role_in_session('{role}')")
    if not cursor.fetchall()[0][0]:
        raise ConfigurationError(
            f"Snowflake: {snowflake.user} does not work as {role}: set "
            "SEGUE_SNOWFLAKE_ERASER_USER and SEGUE_SNOWFLAKE_ERASER_PRIVATE_KEY_FILE"
        )


def _files(settings: Settings, snowflake: Snowflake, table: str, target: Target) -> int:
    """Take a target's rows out of staged files; return in how many they were."""
    stage = Stage(snowflake, Remote(threading.Event()), table)
    try:
        topic = Topics(settings.namespace).of(Kind(table))
        set_aside = {f: why for f, why in stage.quarantined().items() if f.topic == topic}
        staged = stage.files(topic)
        for file in set_aside.keys() - set(staged):
            stage.release(file)  # an earlier run was killed before it could say so
        count = 0
        for file in sorted(staged):
            if not file.rows:
                continue
            content = stage.get(file)
            rows = pq.read_table(io.BytesIO(content))
            kept = rows.filter(pc.invert(_names(rows, target)))
            if kept.num_rows < rows.num_rows:
                _put_instead(stage, file, kept, set_aside.get(file, ""))
                count += 1
        return count
    finally:
        stage.close()


def _names(rows: pa.Table, target: Target) -> pa.Array:
    """Return for each row whether it is erased."""
    found = pc.equal(rows["user_id"], target.user_id)
    if target.event_id is not None:
        found = pc.and_(found, pc.equal(rows["event_id"], target.event_id))
    places = zip(*(rows[name].to_pylist() for name in _PLACE), strict=True)
    later = [target.keeps(*place) for place in places]
    return pc.and_not(found, pa.chunked_array([later], pa.bool_()))


def _put_instead(stage: Stage, file: RangeFile, kept: pa.Table, reason: str) -> None:
    """Put a file of the same range without the target, then delete the old one.

    The order makes it safe to be killed between any two: the sink never finds the range missing,
    nor a file that it would load with the target in it.
    """
    loaded = not reason and file in stage.loaded([file])
    # A file that RAW holds needs no rows any more: the sink needs only the name, to resume.
    fresh = replace(file, rows=0 if loaded else kept.num_rows)
    rows = kept.slice(0, fresh.rows).drop_columns("source_file")
    out = io.BytesIO()
    pq.write_table(rows.append_column("source_file", pa.repeat(fresh.path, fresh.rows)), out)
    stage.put(fresh, out.getvalue())
    if reason and fresh.rows:
        stage.quarantine(fresh, reason, attempts=1)
    stage.remove([file])
    if reason:
        stage.release(file)


@dataclass(frozen=True, slots=True)
class _Holder:
    """A table, its columns, and for how many days its past is kept."""

    schema: str
    table: str
    days: int
    columns: frozenset[str]


def _holders(cursor: SnowflakeCursor, database: str) -> list[_Holder]:
    cursor.execute(_HOLDERS.format(database=database))
    found: dict[tuple[str, str, int], set[str]] = {}
    for schema, table, days, column in cursor.fetchall():
        found.setdefault((schema, table, int(days or 0)), set()).add(str(column).lower())
    return [_Holder(*key, frozenset(columns)) for key, columns in found.items()]


def _rows(
    cursor: SnowflakeCursor, snowflake: Snowflake, target: Target
) -> tuple[dict[str, int], int]:
    """Delete rows; return how many of which table, and for how many days they stay readable.

    RAW comes last: it is what says which entries of the journal of merges are the listener's.
    """
    database = snowflake.database.upper()
    plays = f"select event_id from {database}.RAW.PLAYS where user_id = %s"  # noqa: S608
    removed, days = {}, 0
    holders = _holders(cursor, database)
    for holder in sorted(holders, key=lambda h: (h.schema == "RAW", h.table == "PLAYS")):
        column = "user_id" if target.event_id is None else "event_id"
        if column in holder.columns:
            where, values = f"{column} = %s", [target.event_id or target.user_id]
            if holder.columns.issuperset(_PLACE):
                where = f"{where} and not {target.kept()}"
            elif target.event_id is None and "event_id" in holder.columns:
                where = f"{where} and event_id not in ({plays} and {target.kept()})"
                values = [*values, target.user_id]
        elif holder.table == "PLAY_MERGES" and target.event_id is None:
            where = f"event_id in ({plays} and not {target.kept()})"
            values = [target.user_id]
        else:
            continue
        name = f'{database}.{holder.schema}."{holder.table}"'
        cursor.execute(f"delete from {name} where {where}", tuple(values))  # noqa: S608  looked up
        if count := int(cursor.fetchall()[0][0]):
            removed[f"{holder.schema}.{holder.table}".lower()] = count
            days = max(days, holder.days)
    return removed, days


@contextmanager
def _session(snowflake: Snowflake) -> Iterator[SnowflakeConnection]:
    from snowflake.connector.errors import Error

    connection: Any = snowflake.connect()
    try:
        yield connection
    except Error as error:
        refused = error.errno in REFUSED
        advice = ": was `segue snowflake apply` run?" if refused else ""
        raise StoreUnavailable(f"Snowflake, as {snowflake.user}: {error.msg}{advice}") from None
    finally:
        connection.close()
