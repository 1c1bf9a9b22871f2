"""Sign-in links of a stack on this machine: Redis maps a code to a token, for a day.

The link carries the code, not the token, and the page behind it asks before it signs anybody in.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from contracts.accounts import ADMIN, LISTENER_ROLE
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.redis_client import UNAVAILABLE
from contracts.settings import Settings
from infra.operations.database import feature_store
from infra.stack.accounts import grant

_SECONDS = 86_400
#: A listener every simulation has.
SIMULATED = "sim-00000"


def sign_in_links(settings: Settings, address: str, *, simulated: bool) -> dict[str, str]:
    """Return ``account -> link`` of the administrator and, where there is one, a listener.

    Raises
    ------
    StoreUnavailable
        Redis or PostgreSQL does not answer.
    """
    tokens = {ADMIN: settings.admin_token}
    if simulated:
        # The same token at each start, known to nobody but the holder of the administrator's.
        key = settings.admin_token.encode()
        token = hmac.new(key, SIMULATED.encode(), hashlib.sha256).hexdigest()
        grant(settings.postgres_dsn, SIMULATED, (LISTENER_ROLE,), token, "sign-in link")
        tokens = {SIMULATED: token, **tokens}
    keys = Keys(settings.namespace, settings.partitions)
    links = {}
    try:
        with feature_store(settings) as redis:
            for user, token in tokens.items():
                code = secrets.token_urlsafe(12)
                redis.set(keys.web_link(code), token, ex=_SECONDS)
                links[user] = f"{address}/ui/link/{code}"
    except UNAVAILABLE as error:
        raise StoreUnavailable(f"Redis: {error}") from None
    return links
