"""Before every handler: requests are counted, headers for the answer made."""

from __future__ import annotations

from starlette.types import Scope

from api.auth import CALLER, Accounts, token_in, token_of
from api.errors import ApiError
from api.http import Headers
from api.listenbrainz.limits import CORS, WINDOW_SECONDS, RateWindow
from contracts.settings import Settings

PREFIX = "/1/"
_MESSAGE = (
    "You have exceeded your rate limit. See the X-RateLimit-* response headers for more "
    "information on your current rate limit."
)
#: What tells how the process is must answer whoever asks, however often.
OPEN = frozenset({"/healthz", "/readyz", "/metrics"})
PREFLIGHT: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
    (b"access-control-allow-headers", b"Authorization, Content-Type"),
    (b"access-control-max-age", b"86400"),
]


class Gate:
    """Counts the requests of each token (each address, without a good one)."""

    def __init__(self, accounts: Accounts, rates: RateWindow, settings: Settings) -> None:
        self._accounts = accounts
        self._rates = rates
        self._per_token = settings.rate_per_token
        self._per_address = settings.rate_per_address

    async def enter(
        self, scope: Scope, *, cors: bool, price: int = 1
    ) -> tuple[Headers, ApiError | None]:
        """Return headers for the answer, and a refusal if there were too many requests.

        Parameters
        ----------
        cors
            Whether pages of other origins may read the answer, as ListenBrainz allows.
        price
            How many requests this one counts for.
        """
        if scope["path"] in OPEN:
            return [], None
        caller, limit = await self._caller(scope)
        remaining = self._rates.count(caller, limit, price)
        headers = self._rates.headers(limit, remaining)
        if cors:
            headers = [*CORS, *headers]
        if remaining >= 0:
            return headers, None
        return headers, ApiError(429, "rate-limit", _MESSAGE, retry_after=WINDOW_SECONDS)

    def admit(self, request: Headers, user_id: str) -> Headers | None:
        """Count a request on behalf of a listener if all there is to know of its caller is at hand.

        Returns headers for the answer. ``None``, and nothing is counted: the caller was not
        identified a moment ago, may not act for the listener, or has sent too many requests;
        :meth:`enter` and the handler say which.
        """
        token = token_in(request)
        identity = self._accounts.recall(token) if token else None
        if identity is None or not identity.may_act_for(user_id):
            return None
        caller, limit = f"token {token}", self._per_token
        if self._rates.used(caller) >= limit:
            return None
        return self._rates.headers(limit, self._rates.count(caller, limit))

    async def _caller(self, scope: Scope) -> tuple[str, int]:
        token = token_of(scope)
        if token:
            try:
                identity = await self._accounts.identify(token)
                if identity is not None:
                    scope[CALLER] = identity  # the handler need not ask again
                    return f"token {token}", self._per_token
            except ApiError:
                pass  # who it is cannot be told now; the handler says so
        client = scope.get("client")
        return f"address {client[0] if client else ''}", self._per_address
