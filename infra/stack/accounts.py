"""The administrator's account, made at the first start."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import psycopg

from contracts.accounts import ADD_ACCOUNT, ADD_TOKEN, ADMIN, ROLES, token_hash, token_row
from contracts.errors import StoreUnavailable
from contracts.home import HomePaths
from contracts.settings import Settings
from infra.stack.home import secret_file

_LABEL = "made by segue up"
_LOCK = "select pg_advisory_xact_lock(hashtext(current_schema() || '.admin'))"
_MADE = """
    select count(*) from tokens where user_id = %s and label = %s and revoked_at is null
"""
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
    """
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            connection.execute(ADD_ACCOUNT, {"user": user_id})
            connection.execute(ADD_TOKEN, token_row(token, user_id, roles, label))
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"PostgreSQL: {error}") from None


def admin_token(home: Path) -> str:
    """Return the administrator's token of a home; made on the first call, the same ever after."""
    return secret_file(HomePaths(home).admin_token, lambda: secrets.token_hex(32))


def ensure_admin(dsn: str, home: Path) -> str:
    """Make the account ``admin`` with every role and return its token."""
    token = admin_token(home)
    grant(dsn, ADMIN, tuple(ROLES), token, _LABEL)
    return token


def sole_admin(settings: Settings, *, rotate: bool = False) -> str | None:
    """Create the one administrator of a deployment; safe to repeat, on any host.

    The token is that of ``SEGUE_ADMIN_TOKEN``, else that of the home.

    Parameters
    ----------
    rotate
        Revoke the earlier token, and without ``SEGUE_ADMIN_TOKEN`` make a new one.

    Returns
    -------
    str | None
        The token; ``None`` where another host made one, which nobody can know here.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer.
    """
    place, given = settings.paths.admin_token, settings.admin_token
    try:
        with psycopg.connect(settings.postgres_dsn, connect_timeout=10) as connection:
            connection.execute(_LOCK)
            if not (given or rotate or place.exists()):
                (made,) = connection.execute(_MADE, (ADMIN, _LABEL)).fetchone() or (0,)
                if made:
                    return None
            if rotate:
                place.unlink(missing_ok=True)
            token = given or admin_token(settings.home)
            connection.execute(ADD_ACCOUNT, {"user": ADMIN})
            connection.execute(ADD_TOKEN, token_row(token, ADMIN, tuple(ROLES), _LABEL))
            if rotate:
                connection.execute(_REVOKE_OTHERS, (ADMIN, _LABEL, token_hash(token)))
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"PostgreSQL: {error}") from None
    return token
