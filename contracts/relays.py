"""Relays: a listener's plays are sent on to the listener's account at another service.

The API and the command line make, pause and remove relays; the worker ``relay`` sends. They meet in
PostgreSQL (``infra/postgres/0090_relays.sql``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Service = Literal["listenbrainz", "lastfm"]
#: Service -> its name, and what the listener gives us to act there.
SERVICES: dict[str, tuple[str, str]] = {
    "listenbrainz": ("ListenBrainz", "user token, from the settings page of the account"),
    "lastfm": ("Last.fm", "session key of the account"),
}
#: Longest secret, characters.
LONGEST_SECRET = 512

#: Makes a relay or changes its secret; parameters ``user``, ``service`` and ``secret``.
SET = "select set_relay(%(user)s, %(service)s, %(secret)s)"
#: Pauses a relay or lets it go on; parameters ``user``, ``service``, ``state``. Returns how many.
SET_STATE = "select set_relay_state(%(user)s, %(service)s, %(state)s)"
#: Removes a relay and its queue; parameters ``user`` and ``service``. Returns how many.
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
        ``active``; ``paused`` by a person; ``refused``: the service does not take the secret any
        more, and nothing is sent until it gets another one.
    reason
        What the service said last, where something keeps the relay from sending.
    account
        Name of the account there, empty until the service has confirmed it.
    retry_at
        When the next attempt is made after a failure.
    waiting, refused
        Plays in the queue, and plays the service will never take.
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
