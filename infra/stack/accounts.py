"""The administrator's account, made at the first start."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from contracts.accounts import ADD_ACCOUNT, ADD_TOKEN, ADMIN, ROLES, token_hash, token_row
from contracts.errors import ConfigurationError
from contracts.home import HomePaths
from contracts.postgres import connect
from contracts.settings import Settings
from infra.stack.home import secret_file

_LABEL = "made by segue up"
_LOCK = "select pg_advisory_xact_lock(hashtext(current_schema() || '.admin'))"
_MADE = """
    select from tokens where user_id = %s and label = %s and revoked_at is null limit 1
"""
_VALID = "select from tokens where token_hash = %s and revoked_at is null"
_REVOKE_OTHERS = """
    update tokens set revoked_at = now()
    where user_id = %s and label = %s and revoked_at is null and token_hash <> %s
"""


def grant(dsn: str, user_id: str, roles: Sequence[str], token: str, label: str) -> None:
    """Make the account if it is missing and let `token` act for it; harmless when repeated.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer.
    ConfigurationError
        The login lacks a right, or the database a table.
    """
    with connect(dsn) as connection:
        connection.execute(ADD_ACCOUNT, {"user": user_id})
        connection.execute(ADD_TOKEN, token_row(token, user_id, roles, label))


def admin_token(home: Path) -> str:
    """Return the administrator's token of a home; made on the first call, the same ever after."""
    return secret_file(HomePaths(home).admin_token, lambda: secrets.token_hex(32))


def ensure_admin(dsn: str, home: Path) -> str:
    """Make the account ``admin`` with every role and return its token."""
    token = admin_token(home)
    grant(dsn, ADMIN, tuple(ROLES), token, _LABEL)
    return token


def sole_admin(settings: Settings, *, rotate: bool = False) -> str | None:
    """Make the one administrator of a deployment, regardless of which host asks and how often.

    The token is that of ``SEGUE_ADMIN_TOKEN``, else that of the home.

    Parameters
    ----------
    rotate
        Revoke the earlier token, and without ``SEGUE_ADMIN_TOKEN`` make a new one, first in a file
        ``.new`` beside the home's. If the process is killed, one of the two files holds the valid
        token; the next call moves it into place.

    Returns
    -------
    str | None
        The token; ``None`` if another host made it: this one cannot know it.

    Raises
    ------
    ConfigurationError
        ``SEGUE_ADMIN_TOKEN`` was revoked, the login lacks a right, or the database a table.
    StoreUnavailable
        PostgreSQL does not answer.
    """
    place, given = settings.paths.admin_token, settings.admin_token
    fresh = place.with_suffix(".new")
    with connect(settings.postgres_dsn) as connection:
        connection.execute(_LOCK)
        _finish_rotation(connection, fresh, place)
        if not (given or rotate):
            held = place.read_text().strip() if place.exists() else ""
            if not _holds(connection, held) and _made(connection):
                return None
        file = fresh if rotate else place
        token = given or secret_file(file, lambda: secrets.token_hex(32))
        connection.execute(ADD_ACCOUNT, {"user": ADMIN})
        connection.execute(ADD_TOKEN, token_row(token, ADMIN, tuple(ROLES), _LABEL))
        if not _holds(connection, token):
            raise ConfigurationError(
                "SEGUE_ADMIN_TOKEN was revoked; give another one"
                if given
                else f"the token in {place} was revoked; make one with segue init --rotate"
            )
        if rotate:
            connection.execute(_REVOKE_OTHERS, (ADMIN, _LABEL, token_hash(token)))
    if rotate and not given:
        fresh.replace(place)
    return token


def _finish_rotation(connection: psycopg.Connection[Any], fresh: Path, place: Path) -> None:
    """Put a new token in its place if its rotation was committed; delete it otherwise."""
    if not fresh.exists():
        return
    if _holds(connection, fresh.read_text().strip()):
        fresh.replace(place)
    else:
        fresh.unlink()


def _holds(connection: psycopg.Connection[Any], token: str) -> bool:
    """Whether a token is in the database and was not revoked."""
    row = connection.execute(_VALID, (token_hash(token),)).fetchone()
    return row is not None


def _made(connection: psycopg.Connection[Any]) -> bool:
    """Whether the administrator has a valid token, regardless of the host that made it."""
    return connection.execute(_MADE, (ADMIN, _LABEL)).fetchone() is not None
