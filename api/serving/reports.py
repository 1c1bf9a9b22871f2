"""GET /v1/reports: what the nightly run published."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from api.errors import ApiError
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN_ROLE, ANALYST_ROLE

router = APIRouter(prefix="/v1", tags=["reports"])

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
# A report is a page of its own: it may draw, and must not reach anywhere.
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "sandbox allow-scripts"
)


class ReportInfo(msgspec.Struct):
    """A published report, the formats it can be had in, and the days of its editions.

    ``lake_version`` is the version of the lake that the latest edition is drawn from.
    """

    name: str
    formats: list[str]
    published_at: str
    title: str
    summary: str
    lake_version: int | None
    editions: list[str]


class Reports(msgspec.Struct):
    """All published reports."""

    reports: list[ReportInfo]


@router.get("/reports", responses=answers(Reports), summary="Published reports")
async def reports(services: With, caller: Caller) -> Response:
    """List the reports, by name."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    folder = services.settings.paths.reports
    found = [
        info
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if _NAME.fullmatch(path.name) and (info := _info(path)) is not None
    ]
    return json_reply(Reports(found))


@router.get(
    "/reports/{name}",
    summary="One report",
    response_class=Response,
    responses={
        200: {
            "description": "The latest edition.",
            "content": {
                "application/json": {"schema": {}},
                "text/csv": {"schema": {"type": "string"}},
                "text/html": {"schema": {"type": "string"}},
                "application/vnd.apache.parquet": {
                    "schema": {"type": "string", "format": "binary"}
                },
            },
        }
    },
)
async def report(
    services: With,
    caller: Caller,
    name: str,
    format: Literal["json", "csv", "html", "parquet"] = "json",
    edition: date | None = None,
) -> Response:
    """Return an edition of a report, by default the latest."""
    caller.check_role(ANALYST_ROLE, ADMIN_ROLE)
    path = services.settings.paths.reports / name / f"{edition or 'latest'}.{format}"
    if not _NAME.fullmatch(name) or not path.is_file():
        when = f" of {edition}" if edition else ""
        raise ApiError(404, "unknown-report", f"There is no report {name!r}{when} as {format}.")
    headers = {
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    return FileResponse(path, media_type=_TYPES[format], headers=headers)


def _info(path: Path) -> ReportInfo | None:
    editions = [path / f"latest.{name}" for name in _TYPES]
    present = [edition for edition in editions if edition.is_file()]
    if not present:
        return None
    newest = max(edition.stat().st_mtime for edition in present)
    about = _about(path / "latest.json")
    days = sorted((p.stem for p in path.glob("????-??-??.json")), reverse=True)
    return ReportInfo(
        path.name,
        [edition.suffix[1:] for edition in present],
        datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds"),
        about.title or path.name,
        about.summary,
        about.lake_version,
        days,
    )


class _About(msgspec.Struct):
    title: str = ""
    summary: str = ""
    lake_version: int | None = None


def _about(path: Path) -> _About:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_About)
    except (OSError, msgspec.MsgspecError):
        return _About()
