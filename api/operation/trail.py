"""GET /v1/audit: the audit trail, and whether it is whole; GET /v1/erasures: all of them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response

from api.account.me import stamp
from api.account.store import run
from api.privacy import ERASURES, ErasureStatus
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN_ROLE
from contracts.audit import ACTIONS, VERIFY

router = APIRouter(prefix="/v1", tags=["operation"])

_ROWS = """
    with named as (select pseudonym(user_id) as code, user_id from accounts_v1)
    select t.seq, t.at, coalesce(a.user_id, t.actor), t.action, coalesce(s.user_id, t.subject),
        t.origin, t.outcome, t.detail
    from audit_v1 t
    left join named a on a.code = t.actor
    left join named s on s.code = t.subject
    where (%(before)s::bigint is null or t.seq < %(before)s)
        and (%(action)s::text is null or t.action = %(action)s)
        and (%(who)s::text is null or pseudonym(%(who)s) in (t.actor, t.subject))
    order by t.seq desc limit %(limit)s
"""
_NEWEST = f"{ERASURES} order by finished_at is not null, requested_at desc limit 200"


class TrailRow(msgspec.Struct):
    """One deed; actor and subject are names of accounts, or pseudonyms of those that are gone."""

    seq: int
    at: str
    actor: str
    action: str
    meaning: str
    subject: str
    origin: str
    outcome: str
    detail: str


class Trail(msgspec.Struct):
    """Rows, the latest first; ``before`` is the parameter of the next page."""

    rows: list[TrailRow]
    before: int | None


class Verdict(msgspec.Struct):
    """Whether every row is there and unchanged; note ``head`` elsewhere to prove the end later."""

    whole: bool
    rows: int
    head: str
    first_wrong: int | None


class Erasures(msgspec.Struct):
    """Erasures: unfinished ones first."""

    erasures: list[ErasureStatus]


@router.get("/audit", responses=answers(Trail), summary="Who did what to whose data")
async def audit(
    services: With,
    caller: Caller,
    who: Annotated[str | None, Query(max_length=256)] = None,
    action: Annotated[str | None, Query(max_length=40)] = None,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Return rows of the trail (administrators); `who` is an account as actor or as subject."""
    caller.check_role(ADMIN_ROLE)
    values = {"who": who, "action": action, "before": before, "limit": limit + 1}
    found = await run(services, _ROWS, values)
    rows = [_row(row) for row in found[:limit]]
    return json_reply(Trail(rows, rows[-1].seq if len(found) > limit else None))


@router.get("/audit/verify", responses=answers(Verdict), summary="Is the trail whole?")
async def verify(services: With, caller: Caller) -> Response:
    """Recompute the chain of hashes over the whole trail (administrators)."""
    caller.check_role(ADMIN_ROLE)
    rows, head, wrong = (await run(services, VERIFY, {}))[0]
    return json_reply(Verdict(wrong is None, rows, head or "0:", wrong))


@router.get("/erasures", responses=answers(Erasures), summary="All erasures")
async def erasures(services: With, caller: Caller) -> Response:
    """List the last two hundred erasures (administrators)."""
    caller.check_role(ADMIN_ROLE)
    rows = await run(services, _NEWEST, {})
    return json_reply(Erasures([ErasureStatus.of(row) for row in rows]))


def _row(row: tuple[Any, ...]) -> TrailRow:
    seq, at, actor, action, subject, origin, outcome, detail = row
    meaning = ACTIONS.get(action, action)
    return TrailRow(seq, stamp(at) or "", actor, action, meaning, subject, origin, outcome, detail)
