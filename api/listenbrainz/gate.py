"""Before every handler under /1: requests are counted, headers for the answer made."""

from __future__ import annotations

from starlette.types import Scope

from api.auth import Accounts, token_of
from api.errors import ApiError
from api.http import Headers
from api.listenbrainz.limits import CORS, PER_ADDRESS, PER_TOKEN, RateWindow

PREFIX = "/1/"
_MESSAGE = (
    "You have exceeded your rate limit. See the X-RateLimit-* response headers for more "
    "information on your current rate limit."
)
PREFLIGHT: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"Authorization, Content-Type"),
    (b"access-control-max-age", b"86400"),
]


class Gate:
    """Counts the requests of each token (each address, without a good one)."""

    def __init__(self, accounts: Accounts, rates: RateWindow) -> None:
        self._accounts = accounts
        self._rates = rates

    async def enter(self, scope: Scope) -> tuple[Headers, ApiError | None]:
        """Return headers for the answer, and a refusal if there were too many requests."""
        caller, limit = await self._caller(scope)
        remaining = self._rates.count(caller, limit)
        headers = [*CORS, *self._rates.headers(limit, remaining)]
        return headers, ApiError(429, "rate-limit", _MESSAGE) if remaining < 0 else None

    async def _caller(self, scope: Scope) -> tuple[str, int]:
        token = token_of(scope)
        if token:
            try:
                if await self._accounts.identify(token) is not None:
                    return f"token {token}", PER_TOKEN
            except ApiError:
                pass  # who it is cannot be told now; the handler says so
        client = scope.get("client")
        return f"address {client[0] if client else ''}", PER_ADDRESS
