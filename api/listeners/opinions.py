"""GET /v1/users/{user}/feedback: a listener's current feedback on tracks."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.account.me import stamp
from api.listenbrainz.queries import reader_of, rows_of
from api.web import SCHEME, With, answers, json_reply

router = APIRouter(prefix="/v1", tags=["listener"], dependencies=[SCHEME])

_SAID = """
    select kind, given_at, track_id, artist, title, source, count(*) over ()
    from listener_feedback_v1
    where user_id = %(user)s and (%(kind)s::text is null or kind = %(kind)s)
    order by given_at desc, track_key limit %(limit)s offset %(offset)s
"""


class Opinion(msgspec.Struct):
    """``kind`` is ``love``, ``hate`` or ``hide``."""

    kind: str
    given_at: str
    track_id: str
    artist: str
    title: str
    source: str


class Opinions(msgspec.Struct):
    """Latest first; ``total`` counts all of this kind."""

    user: str
    total: int
    feedback: list[Opinion]


@router.get(
    "/users/{user}/feedback", responses=answers(Opinions), summary="Loved, hated, hidden tracks"
)
async def opinions(
    request: Request,
    services: With,
    user: str,
    kind: Literal["love", "hate", "hide"] | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Response:
    """Return the listener's feedback that has not been taken back."""
    await reader_of(request, services, user)
    values = {"user": user, "kind": kind, "limit": limit, "offset": offset}
    rows = await rows_of(services, _SAID, values)
    found = [
        Opinion(row_kind, stamp(at) or "", track, artist, title, source)
        for row_kind, at, track, artist, title, source, _ in rows
    ]
    return json_reply(Opinions(user, rows[0][-1] if rows else 0, found))
