"""``segue keys``: create, list and revoke API tokens. A token is shown once; its hash is kept."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from api.auth import token_hash
from api.lastfm.sessions import md5
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.settings import Settings
from infra.stack.running import running

ROLES = ("listener", "client", "analyst", "admin")
#: Characters of a token's hash that name it in listings.
_ID = 12

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)
Home = Annotated[Path | None, typer.Option(help="Home of the stack. Default: .segue")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    user: Annotated[str, typer.Argument(help="The account; made if it is missing.")],
    role: Annotated[list[str] | None, typer.Option(help=", ".join(ROLES))] = None,
    label: Annotated[str, typer.Option(help="What the token is for.")] = "",
    expires_days: Annotated[int | None, typer.Option(min=1, help="Days until it ends.")] = None,
    scrobbler: Annotated[
        bool, typer.Option(help="Also for players that hash the password (Last.fm, VLC, mpd).")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Create a token and print it: it cannot be shown again."""
    roles = role or ["listener"]
    if unknown := [name for name in roles if name not in ROLES]:
        raise ConfigurationError(f"unknown role {unknown[0]!r}; there are {', '.join(ROLES)}")
    if not user or not user.isprintable() or user != user.strip() or len(user) > 256:
        raise ConfigurationError(
            "a user name has 1 to 256 printable characters and no white space at its ends"
        )
    token = secrets.token_urlsafe(32)
    expires = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    with _database(home) as connection:
        connection.execute(
            "insert into accounts (user_id) values (%s) on conflict do nothing", (user,)
        )
        connection.execute(
            "insert into tokens (token_hash, user_id, roles, label, expires_at, scrobbler_md5)"
            " values (%s, %s, %s, %s, %s, %s)",
            (token_hash(token), user, roles, label, expires, md5(token) if scrobbler else None),
        )
    made = {
        "id": token_hash(token).hex()[:_ID],
        "user": user,
        "roles": roles,
        "label": label,
        "expires_at": None if expires is None else expires.isoformat(timespec="seconds"),
        "token": token,
    }
    if as_json:
        print(json.dumps(made))
        return
    print(token)
    Console(stderr=True).print(
        f"Token {made['id']} of {user} ({', '.join(roles)}). Keep it: it is not shown again.",
        markup=False,
    )


@app.command("list")
def list_(
    user: Annotated[str | None, typer.Argument(help="Only this account's.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List tokens by id; the tokens themselves are not kept anywhere."""
    with _database(home) as connection:
        rows = connection.execute(
            "select encode(token_hash, 'hex'), user_id, roles, label, created_at, expires_at,"
            " revoked_at from tokens where %(user)s::text is null or user_id = %(user)s"
            " order by user_id, created_at",
            {"user": user},
        ).fetchall()
    keys = [_shown(row) for row in rows]
    if as_json:
        print(json.dumps(keys))
        return
    table = Table("id", "user", "roles", "label", "created", "expires", "state")
    for key in keys:
        table.add_row(
            key["id"],
            key["user"],
            ", ".join(key["roles"]),
            key["label"],
            key["created_at"][:10],
            (key["expires_at"] or "never")[:10],
            key["state"],
        )
    Console().print(table)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Id from `segue keys list`, or the token itself.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a token and the sessions made with it, on every API worker within two seconds."""
    prefix = key.lower() if _is_id(key) else token_hash(key).hex()
    with _database(home) as connection:
        found = connection.execute(
            "select token_hash from tokens where encode(token_hash, 'hex') like %s || '%%'",
            (prefix,),
        ).fetchall()
        if len(found) != 1:
            problem = "no token has" if not found else "several tokens have"
            raise ConfigurationError(f"{problem} the id {key!r}; see `segue keys list`")
        connection.execute(
            "update tokens set revoked_at = coalesce(revoked_at, now())"
            " where token_hash = %(key)s or made_by = %(key)s",
            {"key": found[0][0]},
        )
    name = bytes(found[0][0]).hex()[:_ID]
    print(json.dumps({"id": name, "revoked": True}) if as_json else f"Token {name} is revoked.")


def _is_id(text: str) -> bool:
    return 6 <= len(text) <= 64 and all(c in "0123456789abcdef" for c in text.lower())


def _shown(row: tuple[Any, ...]) -> dict[str, Any]:
    digest, user, roles, label, created, expires, revoked = row
    if revoked is not None:
        state = "revoked"
    elif expires is not None and expires <= datetime.now(UTC):
        state = "expired"
    else:
        state = "active"
    return {
        "id": digest[:_ID],
        "user": user,
        "roles": roles,
        "label": label,
        "created_at": created.isoformat(timespec="seconds"),
        "expires_at": None if expires is None else expires.isoformat(timespec="seconds"),
        "state": state,
    }


@contextmanager
def _database(home: Path | None) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    # A deployment names its database; on one machine the running stack does.
    named = home is None and "SEGUE_POSTGRES_DSN" in os.environ
    settings = Settings.from_env() if named else running(home).settings
    dsn = settings.postgres_dsn
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise StoreUnavailable(
            f"PostgreSQL does not answer ({type(error).__name__}); is the stack up?"
        ) from None
