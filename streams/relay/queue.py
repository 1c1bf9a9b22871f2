"""The queues of the relays, in PostgreSQL: filled from the log, emptied as services accept plays.

The topic ``plays`` is folded into the queues: rows and position move in one transaction, so each
play of a relay is queued once. From then on each relay proceeds independently of the others.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from contracts.events import Play, Submission
from contracts.postgres import Connection
from streams.decode import Batch
from streams.postgres_sink import PostgresSink, PostgresStore
from streams.relay.rules import kept_back

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RELAYS = """
    select user_id, service, floor(extract(epoch from created_at) * 1000)::bigint from relays
    where user_id = any(%s)
"""
_QUEUE = """
    insert into relayed_plays (user_id, service, event_id, played_at, play)
    select r.user_id, r.service, %(event)s, %(played_at)s, %(play)s from relays r
    where r.user_id = %(user)s and r.service = %(service)s
    on conflict do nothing
"""
_DUE = """
    select r.user_id, r.service, r.secret, r.account, r.failures from relays r
    where r.state = 'active' and coalesce(r.retry_at, now()) <= now()
        and (r.account = '' or exists (
            select from relayed_plays p
            where p.user_id = r.user_id and p.service = r.service and p.state = 'waiting'
                and p.queued_at <= now() - make_interval(secs => %s)))
    order by r.retry_at nulls first, r.last_sent_at nulls first
"""
# Several clients' reports of one play are sent once: the first one sent represents the others.
_WAITING = """
    select p.event_id::text, p.play, coalesce(m.head_id, p.event_id)::text,
        exists (
            select from merged_plays o
            join relayed_plays s on s.user_id = o.user_id and s.event_id = o.event_id
            where o.user_id = p.user_id and o.head_id = m.head_id and o.event_id <> p.event_id
                and s.service = p.service and s.state = 'sent')
    from relayed_plays p left join merged_plays m
        on m.user_id = p.user_id and m.event_id = p.event_id
    where p.user_id = %s and p.service = %s and p.state = 'waiting'
        and p.queued_at <= now() - make_interval(secs => %s)
    order by p.played_at, p.event_id limit %s
"""
_DONE = """
    update relayed_plays set state = %(state)s, reason = %(reason)s,
        play = case when %(state)s = 'refused' then play else '' end
    where user_id = %(user)s and service = %(service)s and event_id = any(%(events)s::uuid[])
"""
_COUNT = """
    update relays set sent = sent + %(count)s, last_sent_at = now(), failures = 0, reason = '',
        retry_at = now() + make_interval(secs => %(wait)s)
    where user_id = %(user)s and service = %(service)s
"""
_POSTPONE = """
    update relays set failures = failures + 1, reason = %(reason)s,
        retry_at = now() + make_interval(secs => %(wait)s)
    where user_id = %(user)s and service = %(service)s
"""
_REFUSE = """
    update relays set state = 'refused', reason = %(reason)s, retry_at = null
    where user_id = %(user)s and service = %(service)s and secret = %(secret)s
"""
_CONFIRM = """
    update relays set account = %(account)s, failures = 0, reason = ''
    where user_id = %(user)s and service = %(service)s and secret = %(secret)s
"""
_PRUNE = """
    delete from relayed_plays
    where state in ('sent', 'merged') and queued_at < now() - interval '30 days'
"""
_LOCK = "select pg_try_advisory_lock(hashtext('relay ' || current_schema()))"


class RelayQueue(PostgresSink[Submission]):
    """Queues the plays of listeners who have a relay."""

    fence = "relay_fence"

    def apply(self, connection: Connection, batches: list[Batch[Submission]]) -> int:
        """Queue the plays of the batches that relays send on; return how many."""
        submissions = [message for batch in batches for _, message in batch.messages]
        users = sorted({submission.user_id for submission in submissions})
        relays = [Target(*row) for row in connection.execute(_RELAYS.encode(), (users,))]
        wanted = [
            {
                "user": target.user_id,
                "service": target.service,
                "event": play.event_id,
                "played_at": _EPOCH + timedelta(milliseconds=play.played_at),
                "play": msgspec.json.encode(play).decode(),
            }
            for target in relays
            for submission in submissions
            if submission.user_id == target.user_id
            for play in submission.plays
            if not kept_back(play, target.service, target.since_ms)
        ]
        with connection.cursor() as cursor:
            cursor.executemany(_QUEUE, wanted)
        return len(wanted)


class Target(NamedTuple):
    """Where plays of a listener go, from which moment on (ms since the epoch)."""

    user_id: str
    service: str
    since_ms: int


class DueRelay(NamedTuple):
    """A relay that may send now."""

    user_id: str
    service: str
    secret: str
    account: str
    failures: int

    def __repr__(self) -> str:  # a log must not show the secret
        return f"DueRelay({self.service})"


class Waiting(NamedTuple):
    """A queued play.

    ``head`` is the play it counts as; ``told``: another report of that play was sent already.
    """

    event_id: str
    play: Play
    head: str
    told: bool


class RelayStore(PostgresStore):
    """Access of the sending process to the queues: plays that the relays have not sent yet."""

    def is_sender(self) -> bool:
        """Become the one process that sends, or return False while another one is."""
        with self._transaction() as connection:
            return bool(connection.execute(_LOCK.encode()).fetchall()[0][0])

    def due(self, hold_seconds: float) -> list[DueRelay]:
        """Return the relays that may send now, the one that has waited longest first."""
        with self._transaction() as connection:
            return [DueRelay(*row) for row in connection.execute(_DUE.encode(), (hold_seconds,))]

    def waiting(self, relay: DueRelay, hold_seconds: float, most: int) -> list[Waiting]:
        """Return the next plays of a relay, oldest first."""
        values = (relay.user_id, relay.service, hold_seconds, most)
        with self._transaction() as connection:
            rows = connection.execute(_WAITING.encode(), values).fetchall()
        return [
            Waiting(event, msgspec.json.decode(play, type=Play), head, told)
            for event, play, head, told in rows
        ]

    def note(self, relay: DueRelay, state: str, events: list[str], reason: str = "") -> None:
        """Store the new state of plays of a relay: ``sent``, ``merged`` or ``refused``."""
        values = {**_key(relay), "state": state, "events": events, "reason": reason[:500]}
        with self._transaction() as connection:
            connection.execute(_DONE.encode(), values)

    def sent(self, relay: DueRelay, events: list[str], wait: float) -> None:
        """Write down that plays have arrived; the relay may send again after `wait` seconds."""
        values = {**_key(relay), "count": len(events), "wait": wait}
        done = {**_key(relay), "state": "sent", "events": events, "reason": ""}
        with self._transaction() as connection:
            connection.execute(_DONE.encode(), done)
            connection.execute(_COUNT.encode(), values)

    def postpone(self, relay: DueRelay, reason: str, seconds: float) -> None:
        """Have a relay wait after a failure."""
        values = {**_key(relay), "reason": reason[:500], "wait": seconds}
        with self._transaction() as connection:
            connection.execute(_POSTPONE.encode(), values)

    def refuse(self, relay: DueRelay, reason: str) -> None:
        """Stop a relay whose secret was refused, unless it has another one by now."""
        values = {**_key(relay), "reason": reason[:500], "secret": relay.secret}
        with self._transaction() as connection:
            connection.execute(_REFUSE.encode(), values)

    def confirm(self, relay: DueRelay, account: str) -> None:
        """Write down whose account it is at the service."""
        values = {**_key(relay), "account": account[:256] or "?", "secret": relay.secret}
        with self._transaction() as connection:
            connection.execute(_CONFIRM.encode(), values)

    def prune(self) -> None:
        """Forget what was sent long ago."""
        with self._transaction() as connection:
            connection.execute(_PRUNE.encode())


def _key(relay: DueRelay) -> dict[str, object]:
    return {"user": relay.user_id, "service": relay.service}
