"""Sign-in links of a stack on this machine: Redis maps a code to a token, for a day.

The link carries the code, not the token, and the page behind it asks before it signs anybody in.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from contracts.accounts import ADMIN, ANALYST_ROLE, LISTENER_ROLE
from contracts.errors import StoreUnavailable
from contracts.features import Keys
from contracts.redis_client import UNAVAILABLE
from contracts.settings import Settings
from infra.operations.database import feature_store
from infra.stack.accounts import grant

_SECONDS = 86_400
#: Accounts that also get a link if listeners are simulated: one such listener, and an analyst.
SIMULATED = {"sim-00000": LISTENER_ROLE, "sim-analyst": ANALYST_ROLE}


def sign_in_links(settings: Settings, address: str, *, simulated: bool) -> dict[str, str]:
    """Return ``account -> link`` of the administrator; with `simulated` also of :data:`SIMULATED`.

    Raises
    ------
    StoreUnavailable
        Redis or PostgreSQL does not answer.
    """
    tokens = {}
    # The same tokens at each start; only the holder of the administrator's token can compute them.
    key = settings.admin_token.encode()
    for user, role in SIMULATED.items() if simulated else ():
        tokens[user] = hmac.new(key, user.encode(), hashlib.sha256).hexdigest()
        grant(settings.postgres_dsn, user, (role,), tokens[user], "sign-in link")
    tokens[ADMIN] = settings.admin_token
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
