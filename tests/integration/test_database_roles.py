"""Each process can do in PostgreSQL what it does, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from contracts.accounts import (
    ADD_ACCOUNT,
    ADD_PASSWORD_SESSION,
    ADD_TOKEN,
    END_SESSION,
    REVOKE_ALL,
    REVOKE_TOKEN,
    SET_SETTINGS,
    token_row,
)
from contracts.audit import INSERT, entry
from contracts.database_roles import ADMIN, API, PARTS, RELAY, SINK, Part
from contracts.erasure_requests import ASK, request
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.postgres import connect
from contracts.settings import Settings
from infra.operations.audit import trail
from infra.stack import checks
from infra.stack.accounts import sole_admin
from infra.stack.grants import secure
from infra.stack.migrations import FOLDER, migrate
from infra.stack.postgres import Postgres
from infra.stack.postgres_look import faults
from streams.postgres_sink import PostgresStore
from tests.contracts.sql.test_sql import VIEWS, every, is_piece
from tests.contracts.sql.texts import HOLE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

Connection = psycopg.Connection[Any]
_REFUSED = psycopg.errors.InsufficientPrivilege


@pytest.fixture(scope="module")
def logins(postgres: Postgres) -> Iterator[dict[Part, Connection]]:
    with psycopg.connect(postgres.address, autocommit=True) as owner:
        owner.execute(ADD_ACCOUNT, {"user": "roles-ada"})
        owner.execute(ADD_TOKEN, token_row("roles", "roles-ada", ("listener",)))
    opened = {p: psycopg.connect(postgres.address_of(p), autocommit=True) for p in PARTS}
    yield opened
    for connection in opened.values():
        connection.close()


def test_nobody_is_a_superuser(logins: dict[Part, Connection]) -> None:
    for part, connection in logins.items():
        row = connection.execute(
            "select current_user, rolsuper or rolcreaterole or rolcreatedb or rolbypassrls"
            " from pg_roles where rolname = current_user"
        ).fetchone()
        assert row == (f"segue_{part}", False)


def test_the_api_reads_views_and_writes_by_its_statements(logins: dict[Part, Connection]) -> None:
    api = logins[API]
    for view in VIEWS:
        api.execute(f"select * from {view} limit 0".encode())
    for view in (
        "held_rows('plays', 'roles-ada')",
        "audited('roles-ada')",
        "held_tables()",
        "verify_audit()",
    ):
        api.execute(f"select {view}".encode())
    api.execute("select catalogue_spellings('a'), catalogue_track_named('a', 'b', array['c'])")
    session = token_row("session", "roles-ada", ("scrobbler",))
    with api.transaction(force_rollback=True):
        api.execute(ADD_TOKEN, token_row("new", "roles-ada", ("listener",)))
        api.execute(ADD_TOKEN, token_row("new", "roles-ada", ("listener",)))
        api.execute(ADD_PASSWORD_SESSION, session | {"password_hash": "x"})
        api.execute(END_SESSION, {"token_hash": b"0" * 32, "label": ""})
        api.execute(SET_SETTINGS, {"user": "roles-ada", "time_zone": None, "theme": "dark"})
        api.execute(REVOKE_TOKEN, {"token_hash": b"0" * 32})
        api.execute(REVOKE_ALL, {"user": "roles-ada"})
        api.execute(ASK, request("roles-ada", uuid4()))
        api.execute("select remember_import('roles-ada', 'lastfm', 7)")
        api.execute(INSERT, entry("roles-ada", "data.read", "bob", "test"))


@pytest.mark.parametrize(
    ("part", "statement"),
    [
        (API, "select * from plays"),
        (API, "select * from audit"),
        (API, "select * from audit_secret"),
        (API, "select * from staged_artists"),
        (API, "delete from tokens"),
        (API, "update tokens set roles = array['admin']"),
        (API, "update accounts set password_hash = null"),
        (API, "delete from erasures"),
        (API, "create table mine (n int)"),
        (SINK, "select * from tokens"),
        (SINK, "select * from accounts_v1"),
        (SINK, "select * from audit"),
        (SINK, "select held_rows('accounts', 'roles-ada')"),
        (SINK, "select secret from relays"),
        (RELAY, "select * from plays"),
        (RELAY, "select * from tokens"),
        (RELAY, "update merged_plays set album = null"),
        (ADMIN, "select * from audit_secret"),
        *(
            (part, statement)
            for part in PARTS
            for statement in (
                "update audit set detail = ''",
                "delete from audit",
                "truncate audit",
                "alter table audit disable trigger all",
                "drop table audit",
                "create role another",
                "set role postgres",
                "create or replace function audit_refuse() returns trigger language plpgsql"
                " as 'begin return old; end'",
            )
        ),
    ],
)
def test_what_is_refused(logins: dict[Part, Connection], part: Part, statement: str) -> None:
    with pytest.raises(_REFUSED):
        logins[part].execute(statement.encode())


def test_commands_may_touch_every_table_and_add_to_the_trail(
    logins: dict[Part, Connection],
) -> None:
    admin = logins[ADMIN]
    tables = [name for (name,) in admin.execute("select held_tables()")]
    with admin.transaction(force_rollback=True):
        for table in tables:
            admin.execute(f"delete from {table} where user_id = 'nobody'".encode())
        admin.execute(INSERT, entry("admin", "data.erase", "roles-ada", "test"))
        assert trail.verify(trail.rows(admin)).problems == []
    admin.execute("refresh materialized view concurrently catalogue_artist_tags")


def test_roles_are_made_once_and_rights_that_went_astray_are_gone(
    postgres: Postgres, logins: dict[Part, Connection]
) -> None:
    with psycopg.connect(postgres.address, autocommit=True) as owner:
        owner.execute("grant select on audit_secret to segue_api")
    logins[API].execute("select from audit_secret")
    assert secure(postgres.address, postgres.namespace, {})
    with pytest.raises(_REFUSED):
        logins[API].execute("select from audit_secret")
    psycopg.connect(postgres.address_of(API)).close()  # the login is as it was


def test_an_owner_who_may_not_create_roles_is_told_so(
    postgres: Postgres, logins: dict[Part, Connection]
) -> None:
    assert secure(postgres.address_of(ADMIN), postgres.namespace, {API: "x"}) is False


def test_a_missing_right_is_one_line_that_names_the_login_and_the_remedy(
    postgres: Postgres, logins: dict[Part, Connection], tmp_path: Path
) -> None:
    sink = postgres.address_of(SINK)
    settings = Settings(home=tmp_path, postgres_dsn=sink)
    lacks = r"login segue_sink at \S+:\d+, database \w+: permission denied for {}; .*segue init"
    with pytest.raises(ConfigurationError, match=lacks.format("schema segue")):
        migrate(sink, postgres.namespace)
    with pytest.raises(ConfigurationError, match=lacks.format("table tokens")):
        sole_admin(settings)
    with (
        pytest.raises(ConfigurationError, match=lacks.format("table accounts")),
        connect(sink) as connection,
    ):
        connection.execute("select from accounts")
    with (
        pytest.raises(ConfigurationError, match=r"lacks a table .*absent.*search_path"),
        connect(sink) as connection,
    ):
        connection.execute("select from absent")
    store = PostgresStore(postgres.address_of(API))  # a worker waits: segue init may grant it
    with (
        pytest.raises(StoreUnavailable, match=r"login segue_api .* permission denied for table"),
        store._transaction() as connection,
    ):
        connection.execute("delete from plays")


def test_a_schema_that_a_superuser_made_needs_no_right_to_create_schemas(
    postgres: Postgres, logins: dict[Part, Connection]
) -> None:
    sink, name = postgres.address_of(SINK), "made_for_sink"
    said = rf'schema {name} cannot be created \(.*\); a superuser must run: (create schema .*"$)'
    with pytest.raises(ConfigurationError, match=said) as refused:
        migrate(sink, name)
    statement = re.search(said, str(refused.value))
    assert statement is not None
    with psycopg.connect(postgres.address, autocommit=True) as owner:
        owner.execute(statement[1].encode())
        try:
            assert migrate(sink, name) == _all_names()
            assert migrate(sink, name) == []
        finally:
            owner.execute(f"drop schema {name} cascade".encode())


def _all_names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.sql"))


def test_an_address_that_reads_another_schema_is_named(
    postgres: Postgres, logins: dict[Part, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGUE_POSTGRES_DSN", "given")
    settings = Settings(postgres_dsn=postgres.address_of(SINK))
    assert faults(settings) == []

    def fault(schema: str) -> tuple[str, str]:
        (found,) = faults(replace(settings, postgres_schema=schema))
        return found

    assert re.search("login segue_sink .*: there is no schema absent", fault("absent")[0])
    assert "reads schema segue, not public" in fault("public")[0]
    assert "search_path%3Dpublic" in fault("public")[1]
    with psycopg.connect(postgres.address, autocommit=True) as owner:
        owner.execute("create schema closed")
        try:
            assert "login may not use schema closed" in fault("closed")[0]
            (found,) = [
                each
                for each in checks.postgres(replace(settings, postgres_schema="closed"))
                if each.level == checks.FAIL
            ]
            assert "grant usage on schema closed" in found.todo
        finally:
            owner.execute("drop schema closed")


@pytest.mark.parametrize(
    ("part", "folder", "least"), [(API, "api/", 20), (RELAY, "streams/relay/", 5)]
)
def test_every_statement_of_a_process_is_allowed(
    logins: dict[Part, Connection], part: Part, folder: str, least: int
) -> None:
    """PostgreSQL itself checks names and rights of each, without running it."""
    wrong = (
        _REFUSED,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.UndefinedTable,
    )
    explained, refused = 0, []
    for text in every():
        if not text.file.startswith(folder) or is_piece(text) or HOLE in text.sql:
            continue
        statement = re.sub(r"%\(\w+\)s|%s", "null", text.sql).replace("%%", "%")
        try:
            logins[part].execute(f"explain {statement}".encode())
            explained += 1
        except wrong as error:
            if "null" not in statement or isinstance(error, _REFUSED):
                refused.append(f"{text.file}:{text.line}: {error}")
        except psycopg.Error:  # a null where PostgreSQL wants a type
            continue
    assert refused == []
    assert explained > least
