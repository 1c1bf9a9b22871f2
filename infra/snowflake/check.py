"""Asks an account whether it is what the scripts say and does what the design relies on.

A local emulation cannot answer all of it; those questions say so, and are what to run first on a
real account.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batch.experiments.landing import EXPERIMENT_ARMS
from batch.merges import PLAY_MERGES
from contracts.lake import CATALOGUE, TABLES
from contracts.snowflake import BATCH_STAGE, QUARANTINE, RAW, Snowflake

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

Row = dict[str, Any]
#: Columns of RAW besides those of the lake.
METADATA = ("source_file", "file_row", "loaded_at")
#: What the nightly appends to RAW; all else there is the sink's alone.
OF_THE_NIGHTLY = {
    "play_merges": PLAY_MERGES,
    "experiment_arms": EXPERIMENT_ARMS,
    **CATALOGUE,
}


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to verify.

    Attributes
    ----------
    sql
        Statements, run in order; the rows of the last are judged.
    judge
        Rows, by column in lower case, to what is wrong; empty when nothing is.
    real_only
        No emulation answers it.
    """

    name: str
    sql: tuple[str, ...]
    judge: Callable[[list[Row]], str]
    real_only: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the account said."""

    name: str
    ok: bool
    detail: str


def check(snowflake: Snowflake) -> list[Answer]:
    """Ask everything; an error is an answer too.

    Parameters
    ----------
    snowflake
        A user who may take the role ACCOUNTADMIN, so that nothing is hidden from it.

    Raises
    ------
    StoreUnavailable, ConfigurationError
        The account cannot be reached.
    """
    connection = snowflake.connect(in_database=False)
    try:
        return [_ask(connection, question) for question in questions(snowflake)]
    finally:
        connection.close()


def _ask(connection: SnowflakeConnection, question: Question) -> Answer:
    from snowflake.connector.errors import Error

    try:
        cursor = connection.cursor()
        for sql in question.sql:
            cursor.execute(sql)
        names = [column[0].lower() for column in cursor.description]
        wrong = question.judge([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])
    except (Error, KeyError, ValueError) as error:
        wrong = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return Answer(question.name, not wrong, wrong or "ok")


def questions(snowflake: Snowflake) -> list[Question]:
    """Return what there is to verify of this deployment."""
    return [*_landing(snowflake), *_governance(snowflake), *_past(snowflake)]


def _landing(snowflake: Snowflake) -> Iterator[Question]:
    for table, schema in {**TABLES, **OF_THE_NIGHTLY}.items():

        def columns(rows: list[Row], wanted: frozenset[str] = frozenset(schema.names)) -> str:
            missing = {*wanted, *METADATA} - {str(row["name"]).lower() for row in rows}
            return f"columns missing: {', '.join(sorted(missing))}" if missing else ""

        yield Question(
            f"columns of {snowflake.name(table)}",
            (
                "select column_name as name "  # noqa: S608
                f"from {snowflake.database}.information_schema.columns "
                f"where table_schema = '{RAW}' and table_name = '{table.upper()}'",
            ),
            columns,
        )
    yield Question(
        f"{snowflake.name('play_merges')} holds each entry once",
        (
            "select count(*) as doubled from (select 1 as one "  # noqa: S608
            f"from {snowflake.name('play_merges')} group by id having count(*) > 1)",
        ),
        _none("doubled", "entries of the journal lie there more than once"),
    )
    for table in TABLES:
        name = snowflake.name(table)
        pipe = snowflake.pipe(table)
        yield Question(f"{pipe} runs", (f"select system$pipe_status('{pipe}') as status",), _runs)
        yield Question(
            f"{name} holds each place of the log once",
            (
                "select count(*) as doubled from (select 1 as one "  # noqa: S608
                f"from {name} group by log_id, kafka_partition, kafka_offset, position "
                "having count(*) > 1)",
            ),
            _none("doubled", "places of the log lie there more than once"),
        )
        yield Question(
            f"times of {name} are instants",
            (
                f"select count(*) as shifted from {name} "  # noqa: S608
                "where landed_at > dateadd('minute', 10, loaded_at) or landed_at < '2020-01-01'",
            ),
            _none("shifted", "rows landed after they were loaded: Parquet times were misread"),
        )
        yield Question(
            f"Snowpipe loaded whole files into {name}",
            (
                f"select count(*) as broken from table({snowflake.database}."  # noqa: S608
                f"information_schema.copy_history(table_name => '{name}', "
                "start_time => dateadd('hour', -24, current_timestamp()))) "
                "where status <> 'Loaded'",
            ),
            _none("broken", "loads of the last day were not complete; see RAW.QUARANTINE"),
            real_only=True,
        )
    held = snowflake.name(QUARANTINE)
    yield Question(
        "quarantine is empty",
        (f"select count(*) as files from {held}",),  # noqa: S608
        _none("files", "files could not be loaded: `segue snowflake quarantine`"),
    )


def _governance(snowflake: Snowflake) -> Iterator[Question]:
    db = snowflake.database.upper()

    def sleeps(rows: list[Row]) -> str:
        late = [r["name"] for r in rows if not 0 < int(r["auto_suspend"] or 0) <= 60]
        free = [r["name"] for r in rows if r["resource_monitor"] in (None, "", "null")]
        if len(rows) < 3:
            return f"only {len(rows)} of 3 warehouses"
        return (f"never or late asleep: {late}; " if late else "") + (
            f"no resource monitor: {free}" if free else ""
        )

    yield Question("warehouses sleep and are watched", (f"show warehouses like '{db}_%'",), sleeps)
    yield Question(
        "analysts see MARTS only",
        (f"show grants to role {db}_ANALYST",),
        lambda rows: ", ".join(
            str(r["name"])
            for r in rows
            if any(f"{db}.{s}" in str(r["name"]) for s in ("RAW", "STAGING", "SNAPSHOTS"))
        ),
    )
    may = {("INSERT", snowflake.name(table)) for table in OF_THE_NIGHTLY}
    may |= {(word, snowflake.name(BATCH_STAGE)) for word in ("READ", "WRITE")}
    yield Question(
        "the transformer cannot write what the sink landed",
        (f"show grants to role {db}_TRANSFORMER",),
        lambda rows: ", ".join(
            f"{r['privilege']} on {r['name']}"
            for r in rows
            if f"{db}.RAW" in str(r["name"])
            and r["privilege"] not in ("USAGE", "SELECT")
            and (r["privilege"], r["name"]) not in may
        ),
    )
    schemas = ("RAW", "STAGING", "INTERMEDIATE", "SNAPSHOTS", "MARTS")
    yield Question(
        "the eraser reaches every table",
        (f"show future grants to role {db}_ERASER",),
        lambda rows: ", ".join(
            schema
            for schema in schemas
            if not any(
                r["privilege"] == "DELETE" and str(r["name"]).startswith(f"{db}.{schema}")
                for r in rows
            )
        ),
    )
    yield Question(
        "the eraser sees plain listener ids",
        (f"describe masking policy {db}.GOVERNANCE.LISTENER",),
        lambda rows: (
            "" if rows and f"{db}_ERASER" in str(rows[0]["body"]) else "the policy hides them"
        ),
    )
    references = (
        f"table({db}.information_schema.policy_references("
        f"policy_name => '{db}.GOVERNANCE.LISTENER'))"
    )
    yield Question(
        "listener ids are masked where they land and in the marts",
        (
            "select c.table_schema || '.' || c.table_name as name "  # noqa: S608
            f"from {db}.information_schema.columns c left join {references} p "
            "on p.ref_schema_name = c.table_schema and p.ref_entity_name = c.table_name "
            "and p.ref_column_name = c.column_name "
            "where c.column_name = 'USER_ID' and c.table_schema in ('RAW', 'MARTS') "
            "and p.ref_entity_name is null order by 1",
        ),
        lambda rows: (
            f"no policy on user_id of {', '.join(str(r['name']) for r in rows)}" if rows else ""
        ),
    )
    yield Question(
        "an analyst sees pseudonyms",
        (
            f"use role {db}_ANALYST",
            f"use warehouse {db}_ANALYSE",
            f"select user_id from {db}.marts.dim_listeners limit 20",  # noqa: S608
        ),
        lambda rows: (
            "" if all(len(str(r["user_id"])) == 64 for r in rows) else "user ids are plain"
        ),
        real_only=True,
    )
    for user in (f"{db}_LOADER", f"{db}_TRANSFORMER", f"{db}_ERASER"):
        yield Question(
            f"{user} has a key and no password",
            ("use role ACCOUNTADMIN", f"describe user {user}"),
            _keyed,
            real_only=True,
        )
        yield Question(
            f"{user} comes from known addresses only",
            (f"show parameters like 'NETWORK_POLICY' for user {user}",),
            lambda rows: "" if rows and rows[0]["value"] else "no network policy",
            real_only=True,
        )


def _past(snowflake: Snowflake) -> Iterator[Question]:
    raw = f"{snowflake.database.upper()}.RAW"
    yield Question(
        "RAW keeps its past",
        (f"show parameters like 'DATA_RETENTION_TIME_IN_DAYS' in schema {raw}",),
        lambda rows: "" if rows and int(rows[0]["value"]) >= 7 else "less than 7 days are kept",
        real_only=True,
    )
    yield Question(
        "RAW can be read as it was",
        (f"select count(*) as plays from {raw}.plays at(offset => -60)",),  # noqa: S608
        lambda rows: "",
        real_only=True,
    )


def _runs(rows: list[Row]) -> str:
    state = json.loads(next(iter(rows[0].values())))["executionState"]
    return "" if state == "RUNNING" else f"it is {state}: alter pipe ... set pipe_execution_paused"


def _none(column: str, words: str) -> Callable[[list[Row]], str]:
    def judge(rows: list[Row]) -> str:
        return f"{rows[0][column]} {words}" if rows[0][column] else ""

    return judge


def _keyed(rows: list[Row]) -> str:
    found = {str(r["property"]).upper(): r["value"] for r in rows}
    if found.get("RSA_PUBLIC_KEY_FP") in (None, "null", ""):
        return "no key"
    return "" if found.get("PASSWORD") in (None, "null", "") else "it has a password"
