"""GET /v1/quality: what the gates of the nightly and the tests of the warehouse found."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter, Response

from api.analytics import published
from api.errors import ApiError
from api.operation.runs import records
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN_ROLE, ANALYST_ROLE

router = APIRouter(prefix="/v1", tags=["analytics"])

#: Name of a check -> what it is about.
GROUPS = {
    "schema": "contract",
    "completeness": "completeness",
    "exactly-once": "completeness",
    "rejected-share": "completeness",
    "freshness": "freshness",
    "volume": "anomaly",
    "distribution": "anomaly",
    "sound": "source",
}
#: Runs of the history, the newest.
MOST = 30


class CheckAnswer(msgspec.Struct):
    """How a check went in a run; ``severity`` is ``error`` (stops the run) or ``warn``."""

    run: str
    ok: bool
    severity: str
    detail: str


class Check(msgspec.Struct):
    """One question asked of a table: its newest answer, and those before, the newest first.

    ``group`` is ``contract``, ``completeness``, ``freshness``, ``anomaly`` or ``source``.
    """

    table: str
    name: str
    group: str
    answers: list[CheckAnswer]


class TestedTable(msgspec.Struct):
    """How the tests of a table went in the last build."""

    table: str
    tests: int
    failed: list[str]


class Quality(msgspec.Struct):
    """Checks of the newest run (or of ``run``), and tests of the last build."""

    run: str
    started_at: str
    status: str
    checks: list[Check]
    built_by: str | None
    tables: list[TestedTable]


@router.get("/quality", responses=answers(Quality), summary="Data quality")
async def quality(services: With, caller: Caller, run: str | None = None) -> Response:
    """Return the checks of a run with their history over the last thirty runs."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    found = await asyncio.to_thread(records, services.settings.paths.runs)
    checked = [record for record in found if record.get("checks")]
    if run is not None:
        at = next((i for i, record in enumerate(checked) if record["id"] == run), None)
        if at is None:
            raise ApiError(404, "unknown-run", f"There are no checks of a run {run!r}.")
        checked = checked[at:]
    if not checked:
        raise ApiError(404, "not-checked", "No nightly run has checked the data yet.")
    try:
        built = await published.warehouse(services.settings)
    except ApiError:
        built = None
    tables = [
        TestedTable(node.name, len(node.tests), [t.name for t in node.tests if not t.ok])
        for node in (built.nodes if built else [])
        if node.tests
    ]
    newest = checked[0]
    return json_reply(
        Quality(
            newest["id"],
            newest.get("started_at", ""),
            newest.get("status", ""),
            _checks(checked[:MOST]),
            built.run if built else None,
            tables,
        )
    )


def _checks(runs: list[dict[str, Any]]) -> list[Check]:
    """Return the newest run's checks with their answers in all of the runs."""
    found = {
        (check["table"], check["name"]): Check(
            check["table"], check["name"], GROUPS.get(check["name"], "contract"), []
        )
        for check in runs[0]["checks"]
    }
    for run in runs:
        for check in run["checks"]:
            known = found.get((check["table"], check["name"]))
            if known is not None:
                answer = CheckAnswer(
                    run["id"], check.get("ok", True), check.get("severity", "error"),
                    check.get("detail", ""),
                )  # fmt: skip
                known.answers.append(answer)
    return sorted(found.values(), key=lambda check: (check.group, check.table, check.name))
