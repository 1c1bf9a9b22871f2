"""`segue keys` against a real PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest
from typer.testing import CliRunner

from api.auth import token_hash
from contracts.errors import ConfigurationError
from infra.commands.keys import app
from infra.stack.postgres import Postgres

pytestmark = pytest.mark.integration
Run = Callable[..., str]


@pytest.fixture
def run(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command and return what it prints."""
    monkeypatch.setenv("SEGUE_POSTGRES_DSN", postgres.address)

    def invoke(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        if isinstance(result.exception, ConfigurationError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return invoke


def test_create_list_revoke(run: Run, postgres: Postgres) -> None:
    made = json.loads(
        run(
            "create", "keys-ada", "--role", "listener", "--role", "client",
            "--label", "phone", "--expires-days", "30", "--json",
        )
    )  # fmt: skip
    with psycopg.connect(postgres.address) as connection:
        stored = connection.execute(
            "select token_hash, roles from tokens where user_id = 'keys-ada'"
        ).fetchall()
    assert stored == [(token_hash(made["token"]), ["listener", "client"])]
    (listed,) = json.loads(run("list", "keys-ada", "--json"))
    assert (listed["id"], listed["label"], listed["state"]) == (made["id"], "phone", "active")
    assert made["token"] not in run("list") + json.dumps(listed)
    assert json.loads(run("revoke", made["id"], "--json")) == {"id": made["id"], "revoked": True}
    assert json.loads(run("list", "keys-ada", "--json"))[0]["state"] == "revoked"


def test_a_token_is_printed_alone_and_revokes_itself(run: Run) -> None:
    token = run("create", "keys-bob").split()[0]
    assert "is revoked" in run("revoke", token)
    (listed,) = json.loads(run("list", "keys-bob", "--json"))
    assert (listed["roles"], listed["state"]) == (["listener"], "revoked")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "ada", "--role", "king"), "unknown role 'king'"),
        (("create", " "), "printable"),
        (("revoke", "abcdef012345"), "no token has the id"),
    ],
)
def test_mistakes_are_told(run: Run, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        run(*arguments)
