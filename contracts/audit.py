"""What is written into the audit trail, and how; the table is ``infra/postgres/0030_audit.sql``.

Actors and subjects are given by name and kept as pseudonyms. PostgreSQL numbers, dates and chains
the rows, one writer at a time, so every process writes with the one statement below, where it can
in the transaction of the deed itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict

import msgspec

Outcome = Literal["done", "refused", "failed", "requested"]

#: Action -> what it means, for people.
ACTIONS: dict[str, str] = {
    "key.create": "a token was made",
    "key.revoke": "a token was revoked",
    "key.roles": "the roles of a token were changed",
    "session.create": "somebody signed in",
    "session.end": "somebody signed out",
    "letter.replay": "messages that could not be used were sent once more",
    "model.promote": "a generation of the nightly model was put into service",
    "model.roll-back": "the generation of the nightly model before was put back into service",
    "catalogue.decide": "somebody decided whether two artists of the catalogue are one",
    "password.set": "an account's password was set or removed",
    "data.import": "a file of plays was uploaded",
    "data.export": "everything held of a listener was handed out",
    "data.read": "somebody read another listener's data",
    "data.erase": "a listener was erased",
    "experiment.create": "an experiment was defined",
    "experiment.start": "an experiment was started",
    "experiment.stop": "an experiment was ended",
    "play.delete": "one play was erased",
    "relay.set": "plays are sent on to another service, or with another secret",
    "relay.pause": "a relay was paused",
    "relay.resume": "a paused relay goes on",
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
        Where the deed came from: an address, or ``cli:<operating system's user>``.
    detail
        Facts that name nobody, such as a token's id.
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
