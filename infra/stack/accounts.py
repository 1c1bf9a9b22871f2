"""The administrator's account, made at the first start."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import psycopg

from contracts.accounts import ADD_ACCOUNT, ADD_TOKEN, ADMIN, ROLES, token_row
from contracts.errors import StoreUnavailable
from contracts.home import HomePaths
from infra.stack.home import secret_file


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


def ensure_admin(dsn: str, home: Path, given: str = "") -> str:
    """Make the account ``admin`` with every role and return its token.

    Parameters
    ----------
    given
        The token to use (``SEGUE_ADMIN_TOKEN``); empty: the one kept in the home, made if missing.
    """
    token = given or admin_token(home)
    grant(dsn, ADMIN, tuple(ROLES), token, "made by segue up")
    return token
