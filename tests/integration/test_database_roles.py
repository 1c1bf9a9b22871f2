"""Each process can do in PostgreSQL what it does, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
from infra.operations.audit import trail
from infra.stack.grants import secure
from infra.stack.postgres import Postgres
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
