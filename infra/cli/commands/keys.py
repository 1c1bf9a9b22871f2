"""Manage tokens, roles and passwords. A token is shown once; only its hash is stored."""

from __future__ import annotations

import json
import re
import secrets
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from argon2 import PasswordHasher
from rich.console import Console
from rich.table import Table

from contracts.accounts import (
    ADD_ACCOUNT,
    ADD_TOKEN,
    ADMIN,
    LISTENER_ROLE,
    REVOKE_PASSWORD_SESSIONS,
    REVOKE_SESSIONS,
    ROLES,
    token_hash,
    token_row,
)
from contracts.audit import INSERT, entry
from contracts.errors import ConfigurationError, InvalidEvent
from contracts.listeners import check_new_listener, listener_name
from contracts.postgres import Connection
from infra.cli.options import HomeOption, JsonOption
from infra.operations.audit.trail import here
from infra.operations.database import connected

#: Characters of a token's hash that name it in listings.
_ID = 12
_ID_FORM = re.compile(r"[0-9a-fA-F]{6,64}")
_SHORTEST_PASSWORD = 10

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True)


@app.command()
def create(
    user: Annotated[str, typer.Argument(help="The account; created if it does not exist.")],
    role: Annotated[list[str] | None, typer.Option(help=", ".join(ROLES))] = None,
    label: Annotated[str, typer.Option(help="Purpose of the token, shown in lists.")] = "",
    expires_days: Annotated[int | None, typer.Option(min=1, help="Days until it ends.")] = None,
    scrobbler: Annotated[
        bool, typer.Option(help="Also for players that hash the password (Last.fm, VLC, mpd).")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a token and print it: it cannot be shown again."""
    from api.lastfm.sessions import md5  # the whole API with it: not for `--help` and `list`

    roles = _known_roles(role or [LISTENER_ROLE])
    user = listener_name(user)
    try:
        check_new_listener(user)
    except InvalidEvent as error:
        raise ConfigurationError(str(error)) from None
    token = secrets.token_urlsafe(32)
    name = token_hash(token).hex()[:_ID]
    expires = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
    with connected(home) as connection:
        connection.execute(ADD_ACCOUNT, {"user": user})
        proof = md5(token) if scrobbler else None
        made_token = token_row(token, user, roles, label, expires_at=expires, scrobbler_md5=proof)
        connection.execute(ADD_TOKEN, made_token)
        row = entry(ADMIN, "key.create", user, here(), token=name, roles=roles)
        connection.execute(INSERT, row)
    made = {
        "id": name,
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
        f"Token {name} of {user} ({', '.join(roles)}). Keep it: it is not shown again.",
        markup=False,
    )


@app.command("list")
def list_(
    user: Annotated[str | None, typer.Argument(help="Only tokens of this account.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List tokens with their ids; the tokens themselves cannot be shown, only hashes are stored."""
    with connected(home) as connection:
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
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke a token and the sessions made with it, at once on every API worker."""
    with connected(home) as connection:
        digest, user = _find(connection, key)
        connection.execute(
            "update tokens set revoked_at = coalesce(revoked_at, now())"
            " where token_hash = %(key)s or made_by = %(key)s",
            {"key": digest},
        )
        name = digest.hex()[:_ID]
        connection.execute(INSERT, entry(ADMIN, "key.revoke", user, here(), token=name))
    print(json.dumps({"id": name, "revoked": True}) if as_json else f"Token {name} is revoked.")


@app.command()
def roles(
    key: Annotated[str, typer.Argument(help="Id from `segue keys list`, or the token itself.")],
    role: Annotated[list[str], typer.Option(help=", ".join(ROLES))],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a token other roles, at once on every API worker; its sessions are revoked."""
    wanted = _known_roles(role)
    with connected(home) as connection:
        digest, user = _find(connection, key)
        connection.execute("update tokens set roles = %s where token_hash = %s", (wanted, digest))
        connection.execute(REVOKE_SESSIONS, {"token_hash": digest})
        name = digest.hex()[:_ID]
        row = entry(ADMIN, "key.roles", user, here(), token=name, roles=wanted)
        connection.execute(INSERT, row)
    made = {"id": name, "roles": wanted}
    print(json.dumps(made) if as_json else f"Token {name} has the roles {', '.join(wanted)}.")


@app.command()
def password(
    user: Annotated[str, typer.Argument(help="The account; it must exist.")],
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the password; only tokens remain.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Set the password of an account, typed twice or read from standard input.

    Players that send the password itself log in with it through Last.fm's protocol. Players that
    send an MD5 hash of it need a token instead (`segue keys create USER --scrobbler`), because
    Segue stores only an argon2 hash. Sessions that were opened with the old password end.
    """
    stored = None if remove else PasswordHasher().hash(_new_password())
    with connected(home) as connection:
        changed = connection.execute(
            "update accounts set password_hash = %s where user_id = %s", (stored, user)
        ).rowcount
        if not changed:
            raise ConfigurationError(f"there is no account {user!r}; see `segue keys create`")
        connection.execute(REVOKE_PASSWORD_SESSIONS, {"user": user})
        row = entry(ADMIN, "password.set", user, here(), state="removed" if remove else "set")
        connection.execute(INSERT, row)
    print(f"The password of {user} is {'removed' if remove else 'set'}.")


def _new_password() -> str:
    if sys.stdin.isatty():
        given: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        given = sys.stdin.readline().rstrip("\n")
    if len(given) < _SHORTEST_PASSWORD:
        raise ConfigurationError(
            f"the password is too short: give at least {_SHORTEST_PASSWORD} characters"
        )
    return given


def _known_roles(names: list[str]) -> list[str]:
    if unknown := [name for name in names if name not in ROLES]:
        raise ConfigurationError(f"unknown role {unknown[0]!r}; choose from {', '.join(ROLES)}")
    return names


def _find(connection: Connection, key: str) -> tuple[bytes, str]:
    """Return hash and account of the one token with an id (or of the token itself).

    The administrator's token consists of the characters of an id, so both are looked for.
    """
    found = connection.execute(
        "select token_hash, user_id from tokens where token_hash = %s"
        " or encode(token_hash, 'hex') like %s",
        (token_hash(key), f"{key.lower()}%" if _ID_FORM.fullmatch(key) else None),
    ).fetchall()
    if len(found) != 1:
        # Not repeated when it may be a secret.
        shown = f"the id {key!r}" if len(key) <= _ID else "that id or is that token"
        problem = "no token has" if not found else "several tokens have"
        raise ConfigurationError(f"{problem} {shown}; see `segue keys list`")
    return bytes(found[0][0]), found[0][1]


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
