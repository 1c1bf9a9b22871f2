"""GET /v1/model/history: how good the online model was over time, popularity beside it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response

from api.errors import ApiError
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN_ROLE, ANALYST_ROLE
from contracts.quality_history import QualityHistory, QualityPoint, spread

router = APIRouter(prefix="/v1/model", tags=["model"])

#: Days of a period without dates.
USUAL_DAYS = 7
#: No point is older; a week before the year 1 is not a date.
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class ModelHistory(msgspec.Struct):
    """Points from ``start`` until before ``end``, oldest first; none while no play is judged."""

    start: str
    end: str
    points: list[QualityPoint]


@router.get("/history", responses=answers(ModelHistory), summary="Model quality over time")
async def history(
    services: With,
    caller: Caller,
    start: Annotated[datetime | None, Query(alias="from")] = None,
    end: Annotated[datetime | None, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=2, le=2000)] = 300,
) -> Response:
    """Return the learner's rolling figures over time (analysts), by default of seven days.

    The learner of this host keeps a point a minute while plays come in, and one an hour after two
    days. At most `limit` points are returned: the last of each equal part of the period.
    """
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    until = max(_zoned(end), _FIRST) if end else datetime.now(UTC)
    since = _zoned(start) if start else until - timedelta(days=USUAL_DAYS)
    if since >= until:
        raise ApiError(400, "bad-period", "The period ends before it begins.", field="to")
    kept = QualityHistory(services.settings.paths.quality_history)
    first, last = (round(at.timestamp() * 1000) for at in (since, until))
    try:
        points = await asyncio.to_thread(kept.read, first, last + 1)
    except OSError as error:
        raise ApiError(
            503, "unavailable", f"The history cannot be read: {error.strerror}."
        ) from None
    return json_reply(ModelHistory(since.isoformat(), until.isoformat(), spread(points, limit)))


def _zoned(moment: datetime) -> datetime:
    """Return a time with a zone: UTC where none was given."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
