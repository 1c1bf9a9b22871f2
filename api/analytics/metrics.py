"""GET /v1/metrics: the figures of a period, with how each is made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Literal

import msgspec
from fastapi import APIRouter, Response

from api.analytics import published
from api.errors import ApiError
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN_ROLE, ANALYST_ROLE
from contracts.figures import DEFINITIONS, Day, Definition, Figures, of_days
from contracts.warehouse import Warehouse, tables_in

router = APIRouter(prefix="/v1", tags=["analytics"])

By = Literal["day", "week", "month"]
#: Days of a period without dates, which ends with the newest day that is over.
USUAL_DAYS = 28
#: Longest period, and earliest day.
_MOST_DAYS, _FIRST = 3660, date(2000, 1, 1)


class Point(msgspec.Struct):
    """A figure of a day, a week (from Monday) or a month; ``None``: nothing was counted.

    ``low`` and ``high`` bound the 95 % interval of a share.
    """

    start: str
    value: float | None
    low: float | None
    high: float | None


class TableBehind(msgspec.Struct):
    """A table that a figure is asked of: its last build and how its tests went."""

    table: str
    status: str
    tests: int
    failed: list[str]
    finished_at: str | None


class Metric(msgspec.Struct):
    """A figure of a period.

    ``unit`` is ``plays``, ``listeners``, ``hours`` or ``share`` (0 to 1). ``before`` is the value
    of the period of the same length before it, ``change`` the difference: in percent of ``before``,
    for a share in percentage points. ``sql`` is the statement that the nightly asks, with one row a
    day; ``tables`` are those it names.
    """

    name: str
    title: str
    unit: str
    kind: str
    better: str
    meaning: str
    note: str
    sql: str
    tables: list[TableBehind]
    value: float | None
    low: float | None
    high: float | None
    before: float | None
    change: float | None
    series: list[Point]


class Metrics(msgspec.Struct, kw_only=True):
    """Figures of the days from ``start`` to ``end``, both included (UTC).

    ``published_at`` is ``None`` before the first nightly: then every value is unknown.
    ``tests`` and ``failed`` count the tests of the warehouse's last build.
    """

    start: str
    end: str
    by: str
    published_at: str | None
    run: str | None
    lake_version: int | None
    tests: int
    failed: int
    metrics: list[Metric]


@router.get("/metrics", responses=answers(Metrics), summary="The figures of the overview")
async def metrics(
    services: With,
    caller: Caller,
    start: date | None = None,
    end: date | None = None,
    by: By = "day",
    compare: bool = True,
) -> Response:
    """Return every figure, by default of the last 28 days that are over."""
    return await _reply(services, caller, list(DEFINITIONS.values()), start, end, by, compare)


@router.get("/metrics/{metric}", responses=answers(Metrics), summary="One figure")
async def metric(
    services: With,
    caller: Caller,
    metric: str,
    start: date | None = None,
    end: date | None = None,
    by: By = "day",
    compare: bool = True,
) -> Response:
    """Return one figure: plays, listeners, hours, discovery-rate, hit-through,
    relevance or skip-rate."""
    definition = DEFINITIONS.get(metric)
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    if definition is None:
        known = ", ".join(DEFINITIONS)
        raise ApiError(404, "unknown-metric", f"There is no figure {metric!r}; there are {known}.")
    return await _reply(services, caller, [definition], start, end, by, compare)


async def _reply(
    services: With,
    caller: Caller,
    definitions: list[Definition],
    start: date | None,
    end: date | None,
    by: By,
    compare: bool,
) -> Response:
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    found = await published.figures(services.settings)
    try:
        built = await published.warehouse(services.settings)
    except ApiError:
        built = None
    start, end = _period(found, start, end)
    tests = [test for node in built.nodes for test in node.tests] if built else []
    return json_reply(
        Metrics(
            start=start.isoformat(),
            end=end.isoformat(),
            by=by,
            published_at=found.generated_at if found else None,
            run=found.run if found else None,
            lake_version=found.lake_version if found else None,
            tests=len({test.name for test in tests}),
            failed=len({test.name for test in tests if not test.ok}),
            metrics=[_metric(each, found, built, start, end, by, compare) for each in definitions],
        )
    )


def _period(found: Figures | None, start: date | None, end: date | None) -> tuple[date, date]:
    if end is None:
        end = _newest(found)
    if start is None:
        start = max(_FIRST, end - timedelta(days=USUAL_DAYS - 1))
    if start > end:
        raise ApiError(400, "bad-period", "The period ends before it begins.", field="end")
    if (end - start).days >= _MOST_DAYS or start < _FIRST or end.year > 9000:
        raise ApiError(
            400, "bad-period", "A period is at most ten years, and none begins before 2000.",
            field="start",
        )  # fmt: skip
    return start, end


def _newest(found: Figures | None) -> date:
    """Return the end of the usual period: the newest day that is over, if its plays are known.

    Where all plays of the usual period are of the day that is not over (a deployment that began
    today), the period ends with that day: zeros would hide them.
    """
    if found is None or not found.days.get("plays"):
        return datetime.now(UTC).date() - timedelta(days=1)
    newest = date.fromisoformat(found.days["plays"][-1].day)
    over = newest - timedelta(days=1)
    if newest < datetime.fromisoformat(found.generated_at).date():
        return newest
    usual = _within(found.days["plays"], over - timedelta(days=USUAL_DAYS - 1), over)
    return over if any(day.numerator for day in usual) else newest


def _metric(
    definition: Definition,
    found: Figures | None,
    built: Warehouse | None,
    start: date,
    end: date,
    by: By,
    compare: bool,
) -> Metric:
    days = found.days.get(definition.name, []) if found else []
    now = of_days(definition.kind, _within(days, start, end))
    length = end - start + timedelta(days=1)
    before = None
    if compare and start - length >= _FIRST:
        earlier = _within(days, start - length, start - timedelta(days=1))
        before = of_days(definition.kind, earlier).value
    return Metric(
        definition.name, definition.title, definition.unit, definition.kind, definition.better,
        definition.meaning, definition.note, definition.sql,
        [_table(name, built) for name in tables_in(definition.sql)],
        now.value, now.low, now.high, before, _change(definition, now.value, before),
        list(_series(definition, days, start, end, by)),
    )  # fmt: skip


def _within(days: list[Day], start: date, end: date) -> list[Day]:
    return [day for day in days if start.isoformat() <= day.day <= end.isoformat()]


def _change(definition: Definition, now: float | None, before: float | None) -> float | None:
    if now is None or before is None:
        return None
    if definition.kind == "share":
        return 100 * (now - before)
    return 100 * (now - before) / before if before else None


def _series(
    definition: Definition, days: list[Day], start: date, end: date, by: By
) -> Iterator[Point]:
    """Yield a point for each part of the period, also for those of which nothing is known."""
    known = {day.day: day for day in days}
    every = (start + timedelta(days=i) for i in range((end - start).days + 1))
    for first, group in groupby(every, key=lambda day: _first(day, by)):
        parts = [known[day.isoformat()] for day in group if day.isoformat() in known]
        value = of_days(definition.kind, parts) if parts else None
        yield Point(
            max(first, start).isoformat(),
            value.value if value else None,
            value.low if value else None,
            value.high if value else None,
        )


def _first(day: date, by: By) -> date:
    if by == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by == "month" else day


def _table(name: str, built: Warehouse | None) -> TableBehind:
    node = built.by_name().get(name) if built else None
    if node is None:
        return TableBehind(name, "unknown", 0, [], None)
    failed = [test.name for test in node.tests if not test.ok]
    return TableBehind(name, node.status, len(node.tests), failed, node.finished_at)
