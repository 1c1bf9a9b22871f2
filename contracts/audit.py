"""The audit trail: its actions and its INSERT; the table is ``infra/postgres/0030_audit.sql``.

Callers give the names of actors and subjects; PostgreSQL stores pseudonyms. It numbers, dates and
chains the rows, one writer at a time. So every process uses the one statement below, if possible in
the transaction of the recorded action.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict

import msgspec

Outcome = Literal["done", "refused", "failed", "requested"]

#: Action -> meaning, for people.
ACTIONS: dict[str, str] = {
    "host.forget": "erasures no longer wait for a host that is gone",
    "key.create": "a token was made",
    "key.revoke": "a token was revoked",
    "key.roles": "the roles of a token were changed",
    "session.create": "a person signed in",
    "session.end": "a person signed out",
    "letter.replay": "dead letters were replayed",
    "model.promote": "a generation of the nightly model was put into service",
    "model.roll-back": "the previous generation of the nightly model was put back into service",
    "catalogue.decide": "a person decided whether two artists of the catalogue are identical",
    "password.set": "an account's password was set or removed",
    "data.import": "a file of plays was uploaded",
    "data.export": "all data of a listener was exported",
    "data.read": "an account read another listener's data",
    "data.erase": "a listener was erased",
    "experiment.create": "an experiment was defined",
    "experiment.start": "an experiment was started",
    "experiment.stop": "an experiment was ended",
    "play.delete": "one play was erased",
    "relay.set": "a relay was created, or its secret changed",
    "relay.pause": "a relay was paused",
    "relay.resume": "a paused relay was resumed",
    "relay.remove": "a relay was removed",
    "suspect.release": "a listener was released from suspicion",
    "track.un-hide": "a hidden or hated track was shown again",
}

INSERT = """
    insert into audit (actor, action, subject, origin, outcome, detail)
    values (pseudonym(%(actor)s), %(action)s, pseudonym(%(subject)s), %(origin)s, %(outcome)s,
        %(detail)s)
"""


#: The newest row as ``seq:hash``; no row before the first entry.
HEAD = "select seq || ':' || encode(hash, 'hex') from audit order by seq desc limit 1"


class Entry(TypedDict):
    """Parameters of :data:`INSERT`."""

    actor: str
    action: str
    subject: str
    origin: str
    outcome: str
    detail: str


def entry(
    actor: str,
    action: str,
    subject: str,
    origin: str,
    outcome: Outcome = "done",
    **detail: str | int | list[str] | None,
) -> Entry:
    """Return one row of the trail.

    Parameters
    ----------
    actor, subject
        Names of accounts: who did it, and whose data it concerns.
    action
        One of :data:`ACTIONS`.
    origin
        Origin of the action: an address, or ``cli:<operating system's user>``.
    detail
        Facts that identify no person, such as a token's id.

    Examples
    --------
    >>> row = entry("ada", "key.revoke", "ada", "127.0.0.1", key="3f")
    >>> row["outcome"], row["detail"]
    ('done', '{"key":"3f"}')
    """
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}")
    text = msgspec.json.encode(detail, order="sorted").decode() if detail else ""
    return Entry(
        actor=actor, action=action, subject=subject, origin=origin, outcome=outcome, detail=text
    )


class AuditRow(msgspec.Struct, kw_only=True):
    """View ``audit_v1``: one row of the trail; actor and subject are pseudonyms."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    origin: str
    outcome: str
    detail: str


#: Recomputes the chain; returns ``(rows, head, number of the first wrong row or None)``.
VERIFY = "select row_count, head, first_wrong from verify_audit()"
