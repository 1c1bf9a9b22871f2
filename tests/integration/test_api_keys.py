"""`segue keys` against a real PostgreSQL."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable

import psycopg
import pytest
from argon2 import PasswordHasher
from typer.testing import CliRunner

from contracts.accounts import token_hash
from contracts.errors import ConfigurationError
from infra.cli.commands.keys import app
from infra.stack.accounts import grant
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


def test_a_token_that_looks_like_an_id_revokes_itself(run: Run, postgres: Postgres) -> None:
    """As the administrator's does: 64 hexadecimal digits."""
    token = secrets.token_hex(32)
    grant(postgres.address, "keys-hex", ["listener"], token, "test")
    with pytest.raises(ConfigurationError) as caught:
        run("revoke", secrets.token_hex(32))
    assert "no token has that id or is that token" in str(caught.value)
    run("revoke", token)
    (listed,) = json.loads(run("list", "keys-hex", "--json"))
    assert listed["state"] == "revoked"


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


def audited(postgres: Postgres, action: str) -> list[tuple[str, str]]:
    """Return (outcome, detail) of the rows of an action."""
    with psycopg.connect(postgres.address) as connection:
        return connection.execute(
            "select outcome, detail from audit where action = %s order by seq", (action,)
        ).fetchall()


def test_roles_are_changed_and_noted(run: Run, postgres: Postgres) -> None:
    made = json.loads(run("create", "keys-eve", "--json"))
    run("roles", made["id"], "--role", "analyst")
    (listed,) = json.loads(run("list", "keys-eve", "--json"))
    assert listed["roles"] == ["analyst"]
    (*_, last) = audited(postgres, "key.roles")
    assert last[0] == "done"
    assert json.loads(last[1]) == {"token": made["id"], "roles": ["analyst"]}
    run("revoke", made["id"])
    for action in ("key.create", "key.revoke"):
        assert any(made["id"] in detail for _, detail in audited(postgres, action))
        assert not any(made["token"] in detail for _, detail in audited(postgres, action))


def test_a_password_is_kept_as_argon2_only(postgres: Postgres, run: Run) -> None:
    run("create", "keys-pia")
    secret = "correct horse battery"
    done = CliRunner().invoke(app, ["password", "keys-pia"], input=f"{secret}\n")
    assert done.exit_code == 0, done.output
    assert secret not in done.output
    with psycopg.connect(postgres.address) as connection:
        row = connection.execute("select password_hash from accounts where user_id = 'keys-pia'")
        (stored,) = row.fetchone() or ("",)
    assert stored.startswith("$argon2id$")
    assert PasswordHasher().verify(stored, secret)
    short = CliRunner().invoke(app, ["password", "keys-pia"], input="short\n")
    assert isinstance(short.exception, ConfigurationError)
    with pytest.raises(ConfigurationError, match="no account"):
        run("password", "nobody-there", "--remove")
    assert "removed" in run("password", "keys-pia", "--remove")
    assert [outcome for outcome, _ in audited(postgres, "password.set")][-2:] == ["done", "done"]
