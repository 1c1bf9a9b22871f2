"""The audit trail in a real PostgreSQL: append-only, chained; verification finds each change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from batch.audit_head import audit_head
from batch.runs import NightlyRun, Runs
from contracts.audit import INSERT, entry
from contracts.settings import Settings
from infra.cli.commands.audit import app
from infra.operations.audit import trail
from infra.stack.migrations import migrate
from infra.stack.postgres import Postgres

pytestmark = pytest.mark.integration
Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def schema(postgres: Postgres) -> Iterator[Connection]:
    """A schema of its own."""
    name = "audited"
    migrate(postgres.address, name)
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute(f"set search_path to {name}")
        yield connection
        connection.execute(f"drop schema {name} cascade")


@pytest.fixture
def database(schema: Connection) -> Connection:
    """Five rows in the trail and its triggers in force."""
    schema.execute("alter table audit disable trigger user")
    schema.execute("delete from audit")
    schema.execute("alter table audit enable trigger user")
    for number in range(5):
        row = entry("root", "key.create", f"zoe{number}", "127.0.0.1", id=f"{number:x}, 'ü'")
        schema.execute(INSERT, row)
    return schema


def tamper(connection: Connection, statement: str) -> list[str]:
    """Do to the table what only its owner can, and return the result of the verification."""
    connection.execute("alter table audit disable trigger user")
    connection.execute(statement)
    return trail.verify(trail.rows(connection)).problems


def test_a_whole_trail_is_whole(database: Connection) -> None:
    verdict = trail.verify(trail.rows(database))
    assert (verdict.rows, verdict.problems) == (5, [])
    assert trail.verify(trail.rows(database), verdict.head).problems == []


@pytest.mark.parametrize(
    "statement", ["update audit set actor = 'x'", "delete from audit", "truncate audit"]
)
def test_rows_are_only_ever_added(database: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        database.execute(statement)


def test_names_do_not_stand_in_it(database: Connection) -> None:
    text = "".join(f"{row}" for row in database.execute("select audit::text from audit"))
    assert "zoe" not in text  # no letters of a hash
    assert "root" not in text


@pytest.mark.parametrize("field", ["actor", "action", "subject", "origin", "detail"])
def test_an_altered_row_is_named(database: Connection, field: str) -> None:
    found = tamper(database, f"update audit set {field} = 'key.revoke' where seq = 3")
    assert found == ["row 3 was altered"]


def test_a_later_time_is_an_alteration(database: Connection) -> None:
    found = tamper(database, "update audit set at = at + interval '1 microsecond' where seq = 2")
    assert found == ["row 2 was altered"]


def test_missing_rows_are_named(database: Connection) -> None:
    assert tamper(database, "delete from audit where seq in (2, 3)") == ["rows 2 to 3 missing"]


def test_rows_that_changed_places_are_named(database: Connection) -> None:
    swap = "update audit set seq = case seq when 2 then 103 when 3 then 102 end where seq in (2, 3)"
    tamper(database, swap)
    found = tamper(database, "update audit set seq = seq - 100 where seq > 100")
    assert found[:2] == [
        "row 2 does not follow row 1: one was put in its place",
        "row 2 was altered",
    ]


def test_a_row_rewritten_with_a_fresh_hash_breaks_the_next(database: Connection) -> None:
    rows = list(trail.rows(database))
    forged = replace(rows[2], actor="nobody")
    rows[2] = replace(forged, hash=forged.expected())
    assert trail.verify(iter(rows)).problems == [
        "row 4 does not follow row 3: one was put in its place"
    ]


def test_a_tail_that_was_cut_off_needs_a_noted_head(database: Connection) -> None:
    head = trail.verify(trail.rows(database)).head
    assert tamper(database, "delete from audit where seq > 3") == []
    found = trail.verify(trail.rows(database), head).problems
    assert found == ["row 5 and what followed are missing at the end"]


def test_a_chain_that_was_rewritten_as_a_whole_needs_a_noted_head(database: Connection) -> None:
    heads = [f"{row.seq}:{row.hash.hex()}" for row in trail.rows(database)]
    assert trail.verify(trail.rows(database), *heads).problems == []
    rewrite = """
        do $$
        declare r record; before bytea := '\\x';
        begin
            for r in select * from audit order by seq loop
                update audit set previous = before, detail = '', hash = audit_hash(
                    before, seq, at, actor, action, subject, origin, outcome, '')
                where seq = r.seq returning hash into before;
            end loop;
        end $$
    """
    assert tamper(database, rewrite) == []  # by itself it looks whole
    found = trail.verify(trail.rows(database), heads[1], heads[4]).problems
    assert found == [f"row {seq} is not the one that was noted" for seq in (2, 5)]


def test_writers_at_once_make_one_chain(database: Connection, postgres: Postgres) -> None:
    others = [psycopg.connect(postgres.address, autocommit=True) for _ in range(4)]
    try:
        for connection in others:
            connection.execute("set search_path to audited")
        for number in range(40):
            row = entry("root", "key.revoke", f"user{number}", "cli")
            others[number % 4].execute(INSERT, row)
    finally:
        for connection in others:
            connection.close()
    verdict = trail.verify(trail.rows(database))
    assert (verdict.rows, verdict.problems) == (45, [])


def test_the_commands(
    database: Connection, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dsn = postgres.address.replace("search_path%3Dsegue", "search_path%3Daudited")
    monkeypatch.setenv("SEGUE_POSTGRES_DSN", dsn)
    database.execute("insert into accounts (user_id) values ('zoe3')")
    listed = CliRunner().invoke(app, ["list", "--user", "zoe3", "--json"])
    (row,) = json.loads(listed.stdout)
    assert (row["seq"], row["subject"], row["action"]) == (4, "zoe3", "key.create")
    assert row["actor"] not in ("root", "zoe3")
    whole = CliRunner().invoke(app, ["verify"])
    assert (whole.exit_code, "whole" in whole.stdout) == (0, True)
    assert CliRunner().invoke(app, ["verify", "--expect", "5:" + "0" * 64]).exit_code == 1
    # What a nightly run of this home noted is compared.
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path))
    settings = Settings.from_env()
    head = audit_head(settings)
    assert head is not None
    assert head.startswith("5:")
    night = "2024-01-01"
    run = NightlyRun(id=f"{night}-duckdb-1", date=night, target="duckdb", started_at="", steps=[])
    run.audit_head = head
    Runs(settings.paths.runs).save(run)
    noted = CliRunner().invoke(app, ["verify", "--json"])
    assert json.loads(noted.stdout)["noted_heads"] == 1
    assert noted.exit_code == 0
    run.audit_head = "6:" + "0" * 64
    Runs(settings.paths.runs).save(run)
    cut = CliRunner().invoke(app, ["verify"])
    assert cut.exit_code == 1
    assert "row 6 and what followed are missing at the end" in cut.stdout
    run.audit_head = None
    Runs(settings.paths.runs).save(run)
    tamper(database, "delete from audit where seq = 1")
    broken = CliRunner().invoke(app, ["verify", "--json"])
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)["problems"] == ["row 1 missing"]
