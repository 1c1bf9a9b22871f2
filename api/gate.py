"""Identify the caller and decide about a request: the same rules for the fast path and the edge.

Both ask in the same order::

    recall(headers) --- known a moment ago ---------> Caller --- admit ---> Admission
         '--- None: ask PostgreSQL (identify) ------> Caller ------^

The fast path can only recall: where that gives ``None``, nothing was counted, and the request goes
to the application, whose edge waits for :meth:`Gate.identify`. Everything after that is decided by
the same functions: :meth:`Gate.admit` counts the request, the handler's rules say whether the
caller may do it (:func:`api.serving.recommend.question` for lists).
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.types import Scope

from api.auth import CALLER, Accounts, Identity, token_in, token_of
from api.errors import ApiError
from api.http import Headers
from api.listenbrainz.limits import CORS, WINDOW_SECONDS, RateWindow
from contracts.settings import Settings

_MESSAGE = (
    "You have exceeded your rate limit. See the X-RateLimit-* response headers for more "
    "information on your current rate limit."
)
#: Answers contain personal data: no proxy or browser may store them, unless an endpoint allows it.
NOT_KEPT = (b"cache-control", b"no-store")
#: Health checks and metrics answer without a token and without a rate limit.
OPEN = frozenset({"/healthz", "/readyz", "/metrics"})


class Caller(NamedTuple):
    """Whose requests a request counts among.

    Attributes
    ----------
    identity
        Whose token was sent; ``None`` without a good one.
    key, limit
        What is counted together, and how many requests of it a window takes.
    """

    identity: Identity | None
    key: str
    limit: int


class Admission(NamedTuple):
    """What became of a request at the gate: headers for its answer, and a refusal or ``None``."""

    headers: Headers
    refusal: ApiError | None


class Gate:
    """Identifies callers and counts the requests of each token (each address, without one)."""

    def __init__(self, accounts: Accounts, rates: RateWindow, settings: Settings) -> None:
        self._accounts = accounts
        self._rates = rates
        self._per_token = settings.rate_per_token
        self._per_address = settings.rate_per_address

    def recall(self, headers: Headers) -> tuple[Identity, Caller] | None:
        """Return the cached identity; ``None`` if only :meth:`identify` can find it."""
        token = token_in(headers)
        identity = self._accounts.recall(token) if token else None
        if identity is None:
            return None
        return identity, Caller(identity, f"token {token}", self._per_token)

    async def identify(self, scope: Scope) -> Caller:
        """Return the identity; a token that is wrong or cannot be looked up counts by address."""
        token = token_of(scope)
        if token:
            try:
                identity = await self._accounts.identify(token)
                if identity is not None:
                    return Caller(identity, f"token {token}", self._per_token)
            except ApiError:
                pass  # PostgreSQL is away: the handler answers with the error
        client = scope.get("client")
        return Caller(None, f"address {client[0] if client else ''}", self._per_address)

    def admit(self, caller: Caller, price: int = 1) -> Admission:
        """Count a request, as ``price`` requests, and say whether the caller has sent too many."""
        remaining = self._rates.count(caller.key, caller.limit, price)
        headers = [NOT_KEPT, *self._rates.headers(caller.limit, remaining)]
        if remaining >= 0:
            return Admission(headers, None)
        refusal = ApiError(429, "rate-limit", _MESSAGE, retry_after=WINDOW_SECONDS)
        return Admission(headers, refusal)

    async def enter(self, scope: Scope, *, cors: bool, price: int = 1) -> Admission:
        """Identify and admit a request of the application; leave the identity in its scope.

        Parameters
        ----------
        cors
            Whether pages of other origins may read the answer, as ListenBrainz allows.
        price
            How many requests this one counts for.
        """
        if scope["path"] in OPEN:
            return Admission([], None)
        caller = await self.identify(scope)
        if caller.identity is not None:
            scope[CALLER] = caller.identity  # the handler need not ask again
        headers, refusal = self.admit(caller, price)
        return Admission([*CORS, *headers] if cors else headers, refusal)
