"""Asking for an erasure: the one statement that the API and the command line share."""

from __future__ import annotations

from uuid import UUID

#: Puts a request on record and returns its id; while it is open, the same request returns the same
#: id. Parameters: ``user``, and ``event`` (``None``: everything held of the listener).
ASK = "select ask_erasure(%(user)s, %(event)s)"


def request(user: str, event: UUID | None = None) -> dict[str, object]:
    """Return the parameters of :data:`ASK`."""
    return {"user": user, "event": event}
