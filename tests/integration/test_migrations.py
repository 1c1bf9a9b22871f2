"""A home made by an earlier version keeps its data: old migrations, rows, then the new ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from contracts.accounts import ADD_ACCOUNT, ADD_TOKEN, ROLES, token_hash, token_row
from contracts.audit import INSERT, entry
from contracts.erasure_requests import ASK, request
from infra.operations.audit import trail
from infra.stack.migrations import FOLDER, migrate
from infra.stack.postgres import Postgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

#: The last migration of the first version that was given to anybody.
FIRST_GIVEN = "0061_search"
SCHEMA = "of_an_earlier_version"
AT = datetime(2024, 5, 1, tzinfo=UTC)
EVENT, OTHER, ARTIST = uuid4(), uuid4(), uuid4()
_OLD_ROWS = """
    insert into accounts (user_id) values ('ada');
    insert into listen_counts values ('ada', 1);
    insert into latest_imports values ('ada', 'lastfm', 7);
"""


@pytest.fixture(scope="module")
def upgraded(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a schema that was filled before the newer migrations ran."""
    old = tmp_path_factory.mktemp("old-migrations")
    for path in FOLDER.glob("*.sql"):
        if path.stem <= FIRST_GIVEN:
            shutil.copy(path, old)
    migrate(postgres.address, SCHEMA, old)
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute(f"set search_path to {SCHEMA}".encode())
        _fill(connection)
        assert migrate(postgres.address, SCHEMA) == _names(FOLDER)[len(_names(old)) :]
        yield connection
        connection.execute(f"drop schema {SCHEMA} cascade".encode())


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.sql"))


def _fill(connection: psycopg.Connection[Any]) -> None:
    connection.execute(_OLD_ROWS.encode())
    connection.execute(
        "insert into tokens (token_hash, user_id, roles) values (%s, 'ada', %s)",
        (token_hash("old"), ["listener"]),
    )
    for table, event, extra in (("plays", EVENT, ()), ("merged_plays", OTHER, (EVENT,))):
        connection.execute(
            f"insert into {table} (user_id, played_at, event_id, track_id, artist, title, source,"
            f" received_at{', head_id' * len(extra)})"
            f" values ('ada', %s, %s, 't', 'Air', 'Run', 'x', %s{', %s' * len(extra)})",
            (AT, event, AT, *extra),
        )
    connection.execute(
        "insert into feedback values ('ada', 'f', 'love', %s, 't', 'Air', 'Run', 'x')", (AT,)
    )
    connection.execute(
        "insert into catalogue_artists values (%s, 'Air', 'air', null, 'air')", (ARTIST,)
    )
    connection.execute(INSERT, entry("ada", "data.read", "bob", "test"))
    connection.execute(
        "insert into erasures (user_id, event_id, subject) values ('ada', %s, 's')", (EVENT,)
    )


def test_rows_of_the_earlier_version_are_read_through_the_views(
    upgraded: psycopg.Connection[Any],
) -> None:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return upgraded.execute(query.encode()).fetchall()

    assert rows("select event_id, artist, clients from listens_v1") == [(EVENT, "Air", [])]
    assert rows("select event_id, head_id from merged_listens_v1") == [(OTHER, EVENT)]
    assert rows("select user_id, listens from listen_counts_v1") == [("ada", 1)]
    assert rows("select kind from listener_feedback_v1") == [("love",)]
    assert rows("select latest from latest_imports_v1") == [(7,)]
    assert rows("select token_hash, roles from tokens_v1") == [(token_hash("old"), ["listener"])]
    assert rows("select user_id from accounts_v1") == [("ada",)]
    assert rows("select state from erasures_v1") == [("pending",)]
    assert rows("select root_id from catalogue_artist_roots_v1") == [(ARTIST,)]


def test_the_chain_of_the_audit_trail_goes_on(upgraded: psycopg.Connection[Any]) -> None:
    upgraded.execute(INSERT, entry("ada", "data.export", "ada", "test"))
    verdict = trail.verify(trail.rows(upgraded))
    assert (verdict.rows, verdict.problems) == (2, [])


def test_the_shared_statements_work_on_it(upgraded: psycopg.Connection[Any]) -> None:
    with upgraded.transaction(force_rollback=True):  # the tests run in any order
        upgraded.execute(ADD_ACCOUNT, {"user": "bob"})
        row = token_row(
            "new", "bob", tuple(ROLES), scrobbler_md5="0" * 32, made_by=token_hash("old")
        )
        for _ in range(2):  # a token that exists stays as it is
            upgraded.execute(ADD_TOKEN, row)
        upgraded.execute(
            "select remember_import('bob', 'librefm', 9), remember_import('bob', 'x', 1)"
        )

        def ask(user: str, event: UUID | None = None) -> object:
            found = upgraded.execute(ASK, request(user, event)).fetchone()
            assert found is not None
            return found[0]

        old = upgraded.execute("select id from erasures").fetchall()
        assert ask("ada", EVENT) == old[0][0]  # open since before: the same request
        assert ask("ada") == ask("ada") != ask("bob")


def test_an_export_holds_every_table_but_no_secret(upgraded: psycopg.Connection[Any]) -> None:
    tables = [name for (name,) in upgraded.execute("select held_tables()")]
    assert {"plays", "merged_plays", "feedback", "tokens", "accounts", "erasures"} <= set(tables)
    (held,) = upgraded.execute("select held_rows('tokens', 'ada')").fetchall()
    assert held[0]["id"] == token_hash("old").hex()[:12]
    assert not {"token_hash", "made_by", "scrobbler_md5"} & set(held[0])
    with pytest.raises(psycopg.errors.UndefinedTable, match="no table of listeners"):
        upgraded.execute("select held_rows('audit_secret', 'ada')")
