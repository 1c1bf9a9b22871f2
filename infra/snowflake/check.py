"""Asks an account whether it is what the scripts say and does what the design relies on.

A local emulation cannot answer all of it; those questions say so, and are what to run first on a
real account.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.errors import first_line
from contracts.lake import TABLES
from contracts.snowflake import BATCH_STAGE, QUARANTINE, RAW, Snowflake
from infra.snowflake.governance import governance
from infra.snowflake.question import Judge, Question, Row, none_of
from infra.snowflake.raw_tables import METADATA, OF_THE_NIGHTLY

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of the account to one question."""

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
        wrong = f"{type(error).__name__}: {first_line(error)}"
    return Answer(question.name, not wrong, wrong or "ok")


def questions(snowflake: Snowflake) -> list[Question]:
    """Return the checks of this deployment."""
    return [
        *_landing(snowflake),
        *governance(snowflake.database, _writable(snowflake)),
        *_past(snowflake),
    ]


def _writable(snowflake: Snowflake) -> set[tuple[str, str]]:
    """Return what the transformer may write in RAW, as (privilege, name)."""
    tables = {("INSERT", snowflake.name(table)) for table in OF_THE_NIGHTLY}
    return tables | {(word, snowflake.name(BATCH_STAGE)) for word in ("READ", "WRITE")}


def _landing(snowflake: Snowflake) -> Iterator[Question]:
    for table, schema in {**TABLES, **OF_THE_NIGHTLY}.items():
        yield Question(
            f"columns of {snowflake.name(table)}",
            (
                "select column_name as name "  # noqa: S608
                f"from {snowflake.database}.information_schema.columns "
                f"where table_schema = '{RAW}' and table_name = '{table.upper()}'",
            ),
            _has_columns({*schema.names, *METADATA}),
        )
    yield Question(
        f"{snowflake.name('play_merges')} holds each entry once",
        (
            "select count(*) as doubled from (select 1 as one "  # noqa: S608
            f"from {snowflake.name('play_merges')} group by id having count(*) > 1)",
        ),
        none_of("doubled", "entries of the journal lie there more than once"),
    )
    for table in TABLES:
        yield from _landed(snowflake, table)
    yield Question(
        "quarantine is empty",
        (f"select count(*) as files from {snowflake.name(QUARANTINE)}",),  # noqa: S608
        none_of("files", "files could not be loaded: `segue snowflake quarantine`"),
    )


def _landed(snowflake: Snowflake, table: str) -> Iterator[Question]:
    """Return the checks of one table that ``snowflake-sink`` fills."""
    name, pipe = snowflake.name(table), snowflake.pipe(table)
    yield Question(f"{pipe} runs", (f"select system$pipe_status('{pipe}') as status",), _runs)
    yield Question(
        f"{name} holds each place of the log once",
        (
            "select count(*) as doubled from (select 1 as one "  # noqa: S608
            f"from {name} group by log_id, kafka_partition, kafka_offset, position "
            "having count(*) > 1)",
        ),
        none_of("doubled", "places of the log lie there more than once"),
    )
    yield Question(
        f"times of {name} are instants",
        (
            f"select count(*) as shifted from {name} "  # noqa: S608
            "where landed_at > dateadd('minute', 10, loaded_at) or landed_at < '2020-01-01'",
        ),
        none_of("shifted", "rows landed after they were loaded: Parquet times were misread"),
    )
    yield Question(
        f"Snowpipe loaded whole files into {name}",
        (
            f"select count(*) as broken from table({snowflake.database}."  # noqa: S608
            f"information_schema.copy_history(table_name => '{name}', "
            "start_time => dateadd('hour', -24, current_timestamp()))) "
            "where status <> 'Loaded'",
        ),
        none_of("broken", "loads of the last day were not complete; see RAW.QUARANTINE"),
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


def _has_columns(wanted: set[str]) -> Judge:
    def judge(rows: list[Row]) -> str:
        missing = wanted - {str(row["name"]).lower() for row in rows}
        return f"columns missing: {', '.join(sorted(missing))}" if missing else ""

    return judge


def _runs(rows: list[Row]) -> str:
    state = json.loads(next(iter(rows[0].values())))["executionState"]
    return "" if state == "RUNNING" else f"it is {state}: alter pipe ... set pipe_execution_paused"
