"""Accounts and tokens: roles, views, and the SQL statements that several processes run.

**To add a role**: name it here and describe it in :data:`ROLES`. Then add a migration like
``infra/postgres/0070_roles.sql`` that extends the check of ``tokens.roles`` (a test compares the
two). :class:`api.auth.Identity` decides what a role may do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

import msgspec

#: The deployment's own account: created at the first start, never erased.
ADMIN = "admin"

LISTENER_ROLE = "listener"
CLIENT_ROLE = "client"
ANALYST_ROLE = "analyst"
ADMIN_ROLE = "admin"
SCROBBLER_ROLE = "scrobbler"

#: Role of a token -> what a token with it may do.
ROLES: dict[str, str] = {
    LISTENER_ROLE: "posts, reads, exports and erases the data of its own account",
    CLIENT_ROLE: "posts and reads for every listener",
    ANALYST_ROLE: "reads reports",
    ADMIN_ROLE: "does everything",
    SCROBBLER_ROLE: "posts plays, loves tracks and reads the plays of its own account, no more",
}

#: Creates an account unless it exists; parameter ``user``.
ADD_ACCOUNT = "insert into accounts (user_id) values (%(user)s) on conflict do nothing"

#: Adds a token (:func:`token_row`); an existing token is not changed.
ADD_TOKEN = """
    insert into tokens (token_hash, user_id, roles, label, expires_at, scrobbler_md5, made_by)
    values (%(token_hash)s, %(user)s, %(roles)s, %(label)s, %(expires_at)s, %(scrobbler_md5)s,
        %(made_by)s)
    on conflict (token_hash) do nothing
"""  # noqa: S105  a statement, not a secret

#: Revokes every token of an account; parameter ``user``.
REVOKE_ALL = """
    update tokens set revoked_at = coalesce(revoked_at, now()) where user_id = %(user)s
"""

#: Revokes the sessions that were opened with a token; parameter ``token_hash``.
REVOKE_SESSIONS = """
    update tokens set revoked_at = coalesce(revoked_at, now()) where made_by = %(token_hash)s
"""

#: Revokes the sessions that were opened with the password of an account; parameter ``user``.
REVOKE_PASSWORD_SESSIONS = """
    update tokens set revoked_at = coalesce(revoked_at, now())
    where user_id = %(user)s and by_password
"""  # noqa: S105  a statement, not a secret

#: Opens a session (parameters: :func:`token_row`, ``password_hash``) while the account still has
#: that password. The lock makes a change of the password wait, so that it revokes the session.
ADD_PASSWORD_SESSION = """
    with account as (
        select user_id from accounts
        where user_id = %(user)s and password_hash = %(password_hash)s for share
    )
    insert into tokens (token_hash, user_id, roles, label, expires_at, by_password)
    select %(token_hash)s, user_id, %(roles)s, %(label)s, %(expires_at)s, true from account
    returning user_id
"""  # noqa: S105

_CONSENT_HASH = 64


def consent(maker: bytes, user: str) -> bytes:
    """Return the value of a pending login: who consented, and the hash of the token used."""
    return f"{maker.hex()}{user}".encode()


def read_consent(value: bytes) -> tuple[bytes, str]:
    """Return ``(hash of the consenting token, user)`` of :func:`consent`.

    Raises
    ------
    ValueError
        The value has another form, such as that of a login without consent.

    Examples
    --------
    >>> read_consent(consent(token_hash("secret"), "ada")) == (token_hash("secret"), "ada")
    True
    """
    maker, user = value[:_CONSENT_HASH].decode(), value[_CONSENT_HASH:].decode()
    if len(maker) < _CONSENT_HASH or not user:
        raise ValueError("no account has consented to this login")
    return bytes.fromhex(maker), user


#: Revokes a token and the sessions opened with it; parameter ``token_hash``.
REVOKE_TOKEN = """
    update tokens set revoked_at = coalesce(revoked_at, now())
    where token_hash = %(token_hash)s or made_by = %(token_hash)s
"""  # noqa: S105  a statement, not a secret

#: Label of a session that the pages or an app opened; it can end itself.
SESSION_LABEL = "session"

#: Revokes a session and returns its account; parameters ``token_hash`` and ``label``.
END_SESSION = """
    update tokens set revoked_at = coalesce(revoked_at, now())
    where token_hash = %(token_hash)s and label = %(label)s returning user_id
"""

#: Prolongs a session in use and returns ``user_id, roles, expires_at``; never beyond its age limit,
#: nor beyond the token that opened it. Parameters ``token_hash``, ``label``, ``until``, ``longest``
#: (an interval from when it was opened).
PROLONG_SESSION = """
    update tokens t set expires_at = greatest(t.expires_at, least(
        %(until)s, t.created_at + %(longest)s,
        (select m.expires_at from tokens m where m.token_hash = t.made_by)
    ))
    where t.token_hash = %(token_hash)s and t.label = %(label)s and t.revoked_at is null
    returning t.user_id, t.roles, t.expires_at
"""

#: Changes settings of an account and returns them; parameters ``user``, ``time_zone``, ``theme``
#: (``None``: unchanged).
SET_SETTINGS = """
    select time_zone, theme from set_account_settings(%(user)s, %(time_zone)s, %(theme)s)
"""


class AccountSettingsRow(msgspec.Struct, kw_only=True):
    """View ``account_settings_v1``: an account's display settings for the pages.

    Attributes
    ----------
    time_zone
        IANA name.
    theme
        ``light``, ``dark``, or empty: the browser's preference.
    """

    user_id: str
    time_zone: str
    theme: str


class Account(msgspec.Struct, kw_only=True):
    """View ``accounts_v1``; ``password_hash`` is argon2, ``None``: no login by password."""

    user_id: str
    password_hash: str | None
    created_at: datetime


class Token(msgspec.Struct, kw_only=True):
    """View ``tokens_v1``; see :func:`token_row`."""

    token_hash: bytes
    user_id: str
    roles: list[str]
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    scrobbler_md5: str | None
    made_by: bytes | None


class TokenRow(TypedDict):
    """Parameters of :data:`ADD_TOKEN`."""

    token_hash: bytes
    user: str
    roles: list[str]
    label: str
    expires_at: datetime | None
    scrobbler_md5: str | None
    made_by: bytes | None


def token_hash(token: str) -> bytes:
    """Return the stored form of a token: the SHA-256 of its text (32 bytes).

    A token from a request may contain lone surrogates. They are hashed too, so that such a token is
    unknown instead of an error.

    Examples
    --------
    >>> token_hash("secret").hex()[:8]
    '2bb80d53'
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def token_row(
    token: str,
    user: str,
    roles: Sequence[str],
    label: str = "",
    *,
    expires_at: datetime | None = None,
    scrobbler_md5: str | None = None,
    made_by: bytes | None = None,
) -> TokenRow:
    """Return the parameters of :data:`ADD_TOKEN`.

    Parameters
    ----------
    label
        Purpose of the token, for listings.
    scrobbler_md5
        MD5 of the token's text in hexadecimal, for players that log in with it.
    made_by
        Hash of the token that opened this session: revoking that one revokes this one.

    Examples
    --------
    Only the hash of a token is stored:

    >>> row = token_row("secret", "ada", [SCROBBLER_ROLE], label="phone")
    >>> row["token_hash"] == token_hash("secret"), "secret" in str(row)
    (True, False)
    """
    return TokenRow(
        token_hash=token_hash(token),
        user=user,
        roles=list(roles),
        label=label,
        expires_at=expires_at,
        scrobbler_md5=scrobbler_md5,
        made_by=made_by,
    )
