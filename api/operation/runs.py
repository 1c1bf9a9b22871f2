"""GET /v1/runs: records of the nightly runs, as the runs wrote them."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from fastapi import APIRouter, Response

from api.errors import ApiError
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN_ROLE, ANALYST_ROLE

router = APIRouter(prefix="/v1", tags=["operation"])
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}")
#: Runs that are listed, the newest.
_MOST = 100


class RunSummary(msgspec.Struct):
    """One run; ``failed_checks`` are answers of the quality gates that were not good."""

    id: str
    date: str
    target: str
    status: str
    started_at: str
    finished_at: str | None
    seconds: float | None
    cost: float | None
    lake_version: int | None
    lake_rows: int
    error: str | None
    checks: int
    failed_checks: int


class RunList(msgspec.Struct):
    """Runs, the newest first."""

    runs: list[RunSummary]


@router.get("/runs", responses=answers(RunList), summary="Nightly runs")
async def runs(services: With, caller: Caller) -> Response:
    """List the last hundred nightly runs."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    found = await asyncio.to_thread(latest_runs, services.settings.paths.runs)
    return json_reply(RunList(found))


@router.get(
    "/runs/{run_id}",
    responses={200: {"content": {"application/json": {"schema": {}}}}},
    summary="One nightly run",
)
async def run(services: With, caller: Caller, run_id: str) -> Response:
    """Return a run's record whole: steps, models, checks."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    record = await asyncio.to_thread(record_of, services.settings.paths.runs, run_id)
    if record is None:
        raise ApiError(404, "unknown-run", f"There is no run {run_id!r}.")
    return json_reply(record)


def latest_runs(folder: Path) -> list[RunSummary]:
    """Return the last hundred runs that can be read, the newest first.

    A record that has not changed since the last call is not read again.
    """
    found = [summary for path in _files(folder) if (summary := _summary_of(path)) is not None]
    return sorted(found, key=lambda summary: str(summary.started_at), reverse=True)[:_MOST]


def record_of(folder: Path, run_id: str) -> dict[str, Any] | None:
    """Return the record of a run; ``None`` if the file is missing or cannot be read."""
    return _read(folder / f"{run_id}.json") if _ID.fullmatch(run_id) else None


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of all runs that can be read, the newest first."""
    found = [record for path in _files(folder) if (record := _read(path)) is not None]
    return sorted(found, key=lambda record: str(record.get("started_at", "")), reverse=True)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.json") if _ID.fullmatch(path.stem)]


def _summary_of(path: Path) -> RunSummary | None:
    try:
        state = path.stat()
    except OSError:
        return None
    try:
        return _known(path, state.st_mtime_ns, state.st_size, state.st_ino)
    except OSError:  # not remembered: the next call may read it
        return None


@lru_cache(maxsize=1_000)
def _known(path: Path, *_version: int) -> RunSummary | None:
    record = _load(path)
    return None if record is None else _summary(record)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return _load(path)
    except OSError:
        return None


def _load(path: Path) -> dict[str, Any] | None:
    content = path.read_bytes()
    try:
        record = msgspec.json.decode(content)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return record if isinstance(record, dict) and "id" in record else None


def _summary(record: dict[str, Any]) -> RunSummary:
    checks = record.get("checks", [])
    bad = sum(1 for check in checks if not check.get("ok", True))
    return RunSummary(
        record["id"],
        record.get("date", ""),
        record.get("target", ""),
        record.get("status", ""),
        record.get("started_at", ""),
        record.get("finished_at"),
        record.get("seconds"),
        record.get("cost"),
        record.get("lake_version"),
        record.get("lake_rows", 0),
        record.get("error"),
        len(checks),
        bad,
    )
