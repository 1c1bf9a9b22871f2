"""PostgreSQL LISTEN/NOTIFY channels. The migrations notify them from triggers."""

from __future__ import annotations

#: A token or an account has changed; the payload names it. Caches of identities must drop it.
TOKENS = "segue_tokens"
