"""Relays: forwarding a listener's plays to the listener's account at another service.

The API and the command line create, pause and delete relays; the worker ``relay`` sends. They share
tables in PostgreSQL (``infra/postgres/0090_relays.sql``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Service = Literal["listenbrainz", "lastfm"]
#: Service -> its name, and the secret that the listener gives us.
SERVICES: dict[str, tuple[str, str]] = {
    "listenbrainz": ("ListenBrainz", "user token, from the settings page of the account"),
    "lastfm": ("Last.fm", "session key of the account"),
}
#: Longest secret, characters.
LONGEST_SECRET = 512

#: Creates a relay or changes its secret; parameters ``user``, ``service`` and ``secret``.
SET = "select set_relay(%(user)s, %(service)s, %(secret)s)"
#: Pauses or resumes a relay; parameters ``user``, ``service``, ``state``. Returns the row count.
SET_STATE = "select set_relay_state(%(user)s, %(service)s, %(state)s)"
#: Deletes a relay and its queue; parameters ``user`` and ``service``. Returns the row count.
REMOVE = "select remove_relay(%(user)s, %(service)s)"
#: Relays of a listener, or of all where ``user`` is ``None``; columns of :class:`Relay`.
LIST = """
    select user_id, service, state, reason, account, created_at, retry_at, sent, last_sent_at,
        waiting, refused
    from relays_v1 where %(user)s::text is null or user_id = %(user)s order by user_id, service
"""


class Relay(msgspec.Struct, kw_only=True):
    """View ``relays_v1``: a relay and its queue, without its secret.

    Attributes
    ----------
    state
        ``active``; ``paused`` by a person; ``refused``: the service rejects the secret, and the
        worker sends nothing until the listener gives another one.
    reason
        Last message of the service, if something prevents the relay from sending.
    account
        Name of the account there, empty until the service has confirmed it.
    retry_at
        Time of the next attempt after a failure.
    waiting, refused
        Plays in the queue, and plays that the service refused permanently.
    """

    user_id: str
    service: str
    state: str
    reason: str
    account: str
    created_at: datetime
    retry_at: datetime | None
    sent: int
    last_sent_at: datetime | None
    waiting: int
    refused: int
