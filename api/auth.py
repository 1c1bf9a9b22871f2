"""Who calls: tokens, the accounts behind them and what they may do.

PostgreSQL stores a token's SHA-256 and compares only that, by an index. The duration of a look-up
therefore reveals nothing about a token. Each process caches answers for two seconds, which bounds
the load on PostgreSQL; it drops a revoked token at once (:mod:`api.revocations`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from starlette.types import Scope

from api.errors import forbidden, unauthorized, unavailable
from api.http import Headers
from contracts.accounts import ADMIN_ROLE, CLIENT_ROLE, LISTENER_ROLE, SCROBBLER_ROLE, token_hash
from contracts.breaker import Breaker

log = logging.getLogger(__name__)

#: How long an answer is good (seconds).
TTL = 2.0
#: How long the last answer keeps serving while PostgreSQL is down (seconds).
STALE = 3600.0
_CACHED = 50_000
#: Where the gate leaves the caller it has identified in the request's scope.
CALLER = "segue.caller"
_FIND = """
    select t.user_id, t.roles, extract(epoch from t.expires_at)::float8
    from tokens_v1 t left join tokens_v1 maker on maker.token_hash = t.made_by
    where t.token_hash = %s
        and t.revoked_at is null and (t.expires_at is null or t.expires_at > now())
        and maker.revoked_at is null and (maker.expires_at is null or maker.expires_at > now())
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """The account of a token, with the token's roles.

    Attributes
    ----------
    expires_at
        Seconds since the epoch, or ``None``.
    """

    user_id: str
    roles: frozenset[str]
    expires_at: float | None = None

    def may_act_for(self, user_id: str) -> bool:
        """Whether the token may read and write this listener's data."""
        if CLIENT_ROLE in self.roles or ADMIN_ROLE in self.roles:
            return True
        return user_id == self.user_id and LISTENER_ROLE in self.roles

    def may_scrobble_for(self, user_id: str) -> bool:
        """Whether the token may post this listener's plays, love tracks and read the plays."""
        own = user_id == self.user_id and SCROBBLER_ROLE in self.roles
        return own or self.may_act_for(user_id)

    def check_scrobbles_for(self, user_id: str) -> None:
        """Raise a 403 unless :meth:`may_scrobble_for`."""
        if not self.may_scrobble_for(user_id):
            raise forbidden(f"This token may not act for {user_id!r}: role client or admin does.")

    def check_acts_for(self, user_id: str) -> None:
        """Raise a 403 unless the token may act for the listener."""
        if not self.may_act_for(user_id):
            raise forbidden(f"This token may not act for {user_id!r}: role client or admin does.")

    def check_owns_account(self) -> None:
        """Raise a 403 for a token that only scrobbles: it may not manage its account."""
        if self.roles <= {SCROBBLER_ROLE}:
            raise forbidden("A player's session only scrobbles; use a token of the account.")

    def check_role(self, *roles: str) -> None:
        """Raise a 403 unless the token has one of the roles."""
        if self.roles.isdisjoint(roles):
            raise forbidden(f"This needs a token with the role {' or '.join(roles)}.")


def token_of(scope: Scope) -> str | None:
    """Return the token of ``Authorization: Token x`` (or ``Bearer x``), ``None`` without one."""
    return token_in(scope["headers"])


def token_in(headers: Headers) -> str | None:
    """Return the token among the headers of a request."""
    for name, value in headers:
        if name == b"authorization":
            parts = value.decode("latin-1").split()
            return parts[1] if len(parts) == 2 else ""
    return None


@dataclass(slots=True)
class _Entry:
    identity: Identity | None
    asked_at: float
    revoked: bool = False


class Accounts:
    """Finds the identity of a token, mostly from memory."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Identity | None]] = {}
        self._breaker = Breaker(1.0)
        self._changes = 0

    def forget(self, digest: bytes) -> None:
        """Invalidate the cached answer for a token, and a look-up that is in flight."""
        self._changes += 1
        entry = self._entries.get(digest)
        if entry is not None:
            # Kept for the time PostgreSQL is down, but asked about again first.
            entry.asked_at = min(entry.asked_at, time.monotonic() - TTL)
            entry.revoked = True

    def forget_all(self) -> None:
        """Ask about every token again; what is known still serves while PostgreSQL is down."""
        self._changes += 1
        now = time.monotonic()
        for entry in self._entries.values():
            entry.asked_at = min(entry.asked_at, now - TTL)

    def recall(self, token: str) -> Identity | None:
        """Return the identity of a token if it was looked up less than ``TTL`` seconds ago."""
        entry = self._entries.get(token_hash(token))
        if entry is None or time.monotonic() - entry.asked_at >= TTL:
            return None
        return _unexpired(entry.identity)

    async def identify(self, token: str) -> Identity | None:
        """Return the identity of a token; ``None`` for an unknown, expired or revoked one.

        Raises
        ------
        ApiError
            503: PostgreSQL is down and this token was not seen lately.
        """
        digest = token_hash(token)
        entry = self._entries.get(digest)
        if entry is not None and time.monotonic() - entry.asked_at < TTL:
            return _unexpired(entry.identity)
        # Callers with the same token wait for one question.
        task = self._asking.get(digest)
        if task is None:
            task = asyncio.ensure_future(self._ask(digest))
            self._asking[digest] = task
            task.add_done_callback(lambda _: self._asking.pop(digest, None))
        return _unexpired(await asyncio.shield(task))

    async def require(self, scope: Scope) -> Identity:
        """Return the caller's identity.

        Raises
        ------
        ApiError
            401 without a good token, 503 as in :meth:`identify`.
        """
        identity: Identity | None = scope.get(CALLER)
        if identity is None:
            token = token_of(scope)
            identity = await self.identify(token) if token else None
        if identity is None:
            raise unauthorized()
        return identity

    async def _ask(self, digest: bytes) -> Identity | None:
        if self._breaker.closed:
            changes = self._changes
            try:
                async with self._pool.connection(timeout=1.0) as connection:
                    cursor = await connection.execute(_FIND, (digest,))
                    row = await cursor.fetchone()
            except (psycopg.Error, PoolTimeout, OSError) as error:
                self._breaker.failed()
                log.warning("PostgreSQL (accounts) does not answer: %s", type(error).__name__)
            else:
                identity = Identity(row[0], frozenset(row[1]), row[2]) if row else None
                self._remember(digest, identity, changes)
                return identity
        known = self._entries.get(digest)
        if known is None or known.revoked or time.monotonic() - known.asked_at > STALE:
            raise unavailable("The accounts cannot be read")
        return known.identity

    def _remember(self, digest: bytes, identity: Identity | None, changes: int) -> None:
        if changes != self._changes:
            return  # an account changed during the look-up: the answer may be out of date
        self._entries[digest] = _Entry(identity, time.monotonic())
        self._entries.move_to_end(digest)
        while len(self._entries) > _CACHED:
            self._entries.popitem(last=False)


def _unexpired(identity: Identity | None) -> Identity | None:
    if identity is None or identity.expires_at is None or identity.expires_at > time.time():
        return identity
    return None
