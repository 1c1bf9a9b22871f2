"""Asking for an erasure and reading how far it is: what the API and the command line share."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

#: Puts a request on record and returns its id; while it is open, the same request returns the same
#: id. Parameters: ``user``, and ``event`` (``None``: everything held of the listener).
ASK = "select ask_erasure(%(user)s, %(event)s)"


class ErasureRequest(msgspec.Struct, kw_only=True):
    """View ``erasures_v1``: how far a request is; it does not name the listener.

    Attributes
    ----------
    state
        ``pending``, ``running`` or ``done``.
    steps
        Step -> what it removed from where.
    waiting_for
        What it waits for; empty: nothing.
    """

    id: UUID
    state: str
    steps: dict[str, dict[str, int]]
    waiting_for: str
    requested_at: datetime
    finished_at: datetime | None


def request(user: str, event: UUID | None = None) -> dict[str, object]:
    """Return the parameters of :data:`ASK`."""
    return {"user": user, "event": event}
