"""The logins of PostgreSQL: each process can do what it does, and no more.

The roles are named after the schema (``segue_api``, ``segue_sink``, ...), so that several
deployments can share a server. What each may do is granted in ``infra/stack/grants.py``.
"""

from __future__ import annotations

from typing import Literal

Part = Literal["api", "sink", "relay", "admin"]

#: Reads the views; adds tokens, sessions, erasure requests and rows of the audit trail.
API: Part = "api"
#: Writes the history; adds rows to the audit trail.
SINK: Part = "sink"
#: Reads the secrets of relays and writes their queues.
RELAY: Part = "relay"
#: Commands, the eraser and the nightly: every table, but the audit trail is only added to.
ADMIN: Part = "admin"

PARTS: tuple[Part, ...] = (API, SINK, RELAY, ADMIN)


def role_name(namespace: str, part: Part) -> str:
    """Return the login of a part.

    Examples
    --------
    >>> role_name("segue", API)
    'segue_api'
    """
    return f"{namespace}_{part}"
