"""Logging in: from a password, a token or the browser to a session key.

An API token pasted as the password is its own session key. The other ways make a new token with the
role ``scrobbler`` alone. It ends with the token or the password that opened it.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.auth import Identity
from api.errors import ApiError
from api.lastfm.errors import (
    AUTHENTICATION_FAILED,
    INVALID_SESSION,
    RATE_LIMIT,
    LastfmError,
    try_again,
)
from api.passwords import TooMany
from api.services import Services
from contracts.accounts import (
    ADD_PASSWORD_SESSION,
    ADD_TOKEN,
    ADMIN_ROLE,
    CLIENT_ROLE,
    LISTENER_ROLE,
    SCROBBLER_ROLE,
    TokenRow,
    token_row,
)
from contracts.listeners import listener_name

LABEL = "scrobbler session"
_GOOD = "revoked_at is null and (expires_at is null or expires_at > now())"
#: As in :meth:`api.auth.Identity.may_scrobble_for` the own account.
_MAY_SCROBBLE = f"""roles && array[
    '{SCROBBLER_ROLE}', '{LISTENER_ROLE}', '{CLIENT_ROLE}', '{ADMIN_ROLE}'
]"""
_TOKENS = f"""
    select token_hash, scrobbler_md5, expires_at,
        (select count(*) from tokens_v1 s
            where s.made_by = t.token_hash and s.revoked_at is not null)
    from tokens_v1 t
    where user_id = %s and scrobbler_md5 is not null and {_GOOD} and {_MAY_SCROBBLE} limit 1000
"""  # noqa: S608  the condition is ours
_MAKER = f"""
    select coalesce(made_by, token_hash), expires_at from tokens_v1
    where token_hash = %s and {_GOOD} and {_MAY_SCROBBLE}
"""  # noqa: S608
_PASSWORD = "select password_hash from accounts_v1 where user_id = %s"  # noqa: S105
_HASHER = PasswordHasher()
#: Wrong passwords within a minute: for one name from one address, and for any name from it. Proofs
#: by a token are not counted: 256 bits cannot be guessed, and whoever knows a name could otherwise
#: keep its player out.
ATTEMPTS, ATTEMPTS_OF_ADDRESS = 10, 30
#: Of a session key: VLC keeps exactly so many and forgets the rest. 128 bits cannot be guessed.
KEY_CHARACTERS = 32
#: Characters of the name of an account, at most.
LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class Session:
    """A login: whose it is, and the key that proves it from now on."""

    user_id: str
    key: str


def md5(text: str) -> str:
    """Return the md5 the protocols ask for, in hexadecimal."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


async def require_session(services: Services, key: str) -> Identity:
    """Return the identity of a session key.

    Raises
    ------
    LastfmError
        9: the key is invalid, log in again; 16: the accounts cannot be read now, retry.
    """
    identity = await identify(services, key)
    if identity is None or not identity.may_scrobble_for(identity.user_id):
        raise LastfmError(INVALID_SESSION, "Invalid session key - Please re-authenticate")
    return identity


async def identify(services: Services, token: str) -> Identity | None:
    """Return the identity of a token; raise error 16 if accounts cannot be read."""
    try:
        return await services.accounts.identify(token) if token else None
    except ApiError:
        raise try_again() from None


async def log_in(services: Services, user: str, password: str, origin: str = "") -> Session:
    """Log in with an API token or the account's password, from an address.

    Raises
    ------
    LastfmError
        4, or 16 when accounts cannot be read.
    """
    user = listener_name(user)
    identity = await identify(services, password)
    if identity is not None and identity.user_id == user and identity.may_scrobble_for(user):
        return Session(user, password)
    key = secrets.token_hex(KEY_CHARACTERS // 2)
    row = token_row(key, user, [SCROBBLER_ROLE], LABEL)
    await open_by_password(services, password, row, origin)
    return Session(user, key)


async def open_by_password(
    services: Services, password: str, session: TokenRow, origin: str
) -> None:
    """Open a session of an account with its password, and with it the session ends.

    Raises
    ------
    LastfmError
        4 for a wrong name or password, 29 after too many, 16 when accounts cannot be read.
    """
    user = session["user"]
    async with _attempt(services, user, origin):
        rows = await query(services, _PASSWORD, (user,))
        stored = rows[0][0] if rows else None
        # An account without a password takes as long as one with a wrong one.
        try:
            good = await services.passwords.run(_verify, stored or "", password)
        except TooMany:
            raise LastfmError(
                RATE_LIMIT, "Rate limit exceeded: too many logins at once, try again."
            ) from None
        if not good or stored is None:
            raise LastfmError(AUTHENTICATION_FAILED, "Invalid username or password.")
        row = {**session, "password_hash": stored}
        if not await query(services, ADD_PASSWORD_SESSION, row):  # the password has changed since
            raise LastfmError(AUTHENTICATION_FAILED, "Invalid username or password.")


async def log_in_md5(services: Services, user: str, proof: str, salt: str | None) -> Session:
    """Log in by a proof over the md5 of a token made for scrobblers.

    Parameters
    ----------
    proof
        ``md5(user + md5(token))`` (2.0), or ``md5(md5(token) + salt)`` where a salt is given (1.2).

    Raises
    ------
    LastfmError
        4, or 16.
    """
    name = listener_name(user)
    for digest, stored, expires, ended in await query(services, _TOKENS, (name,)):
        # The player hashed the name as it was typed.
        wanted = md5(user + stored) if salt is None else md5(stored + salt)
        if hmac.compare_digest(wanted.encode(), proof.lower().encode()):
            key = _session_key(name, stored, ended)
            return await _open(services, name, key, digest, expires)
    raise LastfmError(
        AUTHENTICATION_FAILED,
        "Invalid username or password (create one with: segue keys create USER --scrobbler).",
    )


def _session_key(user: str, stored: str, ended: int) -> str:
    """Return the same session for every login, since players log in at each start.

    A session that was revoked never works again: the token's next one has another key.
    """
    text = f"session\x1f{user}\x1f{stored}" + (f"\x1f{ended}" if ended else "")
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_CHARACTERS]


async def open_session(services: Services, user: str, maker: bytes) -> Session | None:
    """Open a session with a token of the account; ``None`` if that token is not good any more.

    Parameters
    ----------
    maker
        SHA-256 of the token.

    Raises
    ------
    LastfmError
        16.
    """
    found = await query(services, _MAKER, (maker,))
    if not found:
        return None
    made_by, expires_at = found[0]
    key = secrets.token_hex(KEY_CHARACTERS // 2)
    return await _open(services, user, key, made_by, expires_at)


async def _open(
    services: Services, user: str, key: str, made_by: bytes, expires_at: datetime | None
) -> Session:
    row = token_row(key, user, [SCROBBLER_ROLE], LABEL, made_by=made_by, expires_at=expires_at)
    await query(services, ADD_TOKEN, row)
    return Session(user, key)


async def query(
    services: Services, text: str, arguments: Any, pool: AsyncConnectionPool | None = None
) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows, by default on the connections for accounts.

    Raises
    ------
    LastfmError
        16: PostgreSQL does not answer.
    """
    try:
        async with (pool or services.account_pool).connection(timeout=1.0) as connection:
            cursor = await connection.execute(text.encode(), arguments)
            return await cursor.fetchall() if cursor.description else []
    except psycopg.DataError:
        return []  # a name with NUL: nobody has it
    except (psycopg.Error, PoolTimeout, OSError):
        raise try_again() from None


@asynccontextmanager
async def _attempt(services: Services, user: str, origin: str) -> AsyncIterator[None]:
    """Count a login before it is tried, or many at once would all be; only a failed one stays.

    Raises
    ------
    LastfmError
        29 after too many wrong passwords within a minute; 4 for a name nobody has.
    """
    if len(user) > LONGEST_NAME:  # not worth remembering
        raise LastfmError(AUTHENTICATION_FAILED, "Invalid username or password.")
    logins = services.logins
    counted = {f"{user} from {origin}": ATTEMPTS, f"address {origin}": ATTEMPTS_OF_ADDRESS}
    attempt = await logins.count(counted)
    if attempt.left < 0:
        await logins.take_back(attempt)
        raise LastfmError(RATE_LIMIT, "Rate limit exceeded: too many failed logins, wait a minute.")
    try:
        yield
    except LastfmError as error:
        if error.code == AUTHENTICATION_FAILED:
            raise
        await logins.take_back(attempt)
        raise
    await logins.take_back(attempt)


@functools.cache
def _dummy_hash() -> str:
    """Return a hash to verify for an account without one, so that both cases take equally long."""
    return _HASHER.hash("of no account")


def _verify(stored: str, password: str) -> bool:
    """Return whether a password matches a stored hash. An account without one has an empty hash."""
    try:
        return _HASHER.verify(stored or _dummy_hash(), password)
    except (Argon2Error, InvalidHashError):
        return False
