"""Imports: upload a history, and see how far it is and what was refused."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from contracts.imports import FORMATS, MAX_UPLOAD
from web import csrf
from web.api import Away, Refused, part
from web.passing import passed_on
from web.uploads import UploadForm
from web.visit import Visit

_LIMIT = f"{MAX_UPLOAD >> 20} MB"
_TOO_LARGE = f"The file is larger than {_LIMIT}: upload it in parts, or as a zip."


async def page(visit: Visit) -> Response:
    """GET /ui/me/imports."""
    return await _page(visit)


async def _page(visit: Visit, status: int = 200, wrong: dict[str, str] | None = None) -> Response:
    values: dict[str, Any] = {"limit": _LIMIT, "most": MAX_UPLOAD, "wrong": wrong or {}}
    if visit.scripted:
        return visit.fragment("upload.html", status, **values)
    found = await visit.get(visit.of_subject("/imports"))
    return visit.page(
        "imports.html", "Import a history", status, imports=found["imports"],
        formats=found["formats"], **values,
    )  # fmt: skip


async def upload(visit: Visit) -> Response:
    """POST /ui/me/imports: passes the file on to the API as it arrives."""
    declared = visit.request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_UPLOAD + 65_536:
        return await _page(visit, 413, {"file": _TOO_LARGE})
    form = UploadForm(visit.request)
    await form.begin()
    if not csrf.matches(visit.request, form.fields, visit.who.csrf):
        return visit.page("errors/stale.html", "This form is outdated", 403)
    if not form.name:
        return await _page(visit, 400, {"file": "Choose a file."})
    try:
        made = await visit.api.upload(
            visit.of_subject("/imports"), visit.who.token, form.file(),
            name=form.name[:200], private=form.fields.get("private") == "on",
        )  # fmt: skip
    except Refused as error:
        if error.status == 401:
            raise
        return await _page(visit, error.status, {"file": error.message})
    except Away as error:
        return await _page(visit, 503, {"file": f"Nothing was uploaded: {error.message}"})
    target = f"{visit.base}/me/imports/{made['id']}"
    if visit.scripted:
        return Response(headers={"hx-redirect": target})
    return visit.go(target)


async def one(visit: Visit, upload: str) -> Response:
    """GET /ui/me/imports/...: how far it is; htmx asks for the state alone."""
    try:
        found = await visit.get(visit.of_subject(f"/imports/{part(upload)}"))
    except Away:
        if visit.scripted:  # the state stays as it is, and is asked for again
            return Response(status_code=503, headers={"hx-reswap": "none"})
        raise
    values = {"found": found, "formats": FORMATS}
    if visit.scripted:
        return visit.fragment("import_state.html", **values)
    return visit.page("import.html", f"Import of {found['name']}", **values)


async def refused(visit: Visit, upload: str) -> Response:
    """GET /ui/me/imports/.../refused: every refused record as a file."""
    path = visit.of_subject(f"/imports/{part(upload)}/refused")
    return await passed_on(visit, path, "application/x-ndjson", "refused.jsonl")
