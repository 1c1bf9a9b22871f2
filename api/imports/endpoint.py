"""POST /v1/users/{user}/imports: upload a history; GET: how far its import is."""

from __future__ import annotations

import asyncio
from pathlib import PurePath
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from api.account.me import stamp
from api.account.store import run
from api.audit import origin_of
from api.auth import Identity
from api.errors import ApiError
from api.imports.receive import receive
from api.privacy import check_own
from api.services import Services
from api.web import Caller, With, answers, json_reply
from contracts.audit import entry
from contracts.imports import (
    ASK,
    FORMATS,
    MAX_UPLOAD,
    MOST_WAITING,
    ImportProgress,
    ImportRow,
    folder_of,
    rejects_file,
)

router = APIRouter(prefix="/v1/users/{user}/imports", tags=["imports"])

_COLUMNS = ", ".join(ImportRow.__struct_fields__)
_LIST = f"""
    select {_COLUMNS} from imports_v1 where user_id = %(user)s
    order by requested_at desc limit 100
"""  # noqa: S608  the columns are ours
_ONE = f"select {_COLUMNS} from imports_v1 where user_id = %(user)s and id = %(id)s"  # noqa: S608
_REJECTS = "select rejects from imports_v1 where user_id = %(user)s and id = %(id)s"
_OPEN = """
    select count(*) from imports_v1 where user_id = %(user)s and state in ('waiting', 'running')
"""


class RefusedRecord(msgspec.Struct):
    """A record of the file that became no play; ``record`` is its line or place, from 1."""

    record: int
    reason: str
    detail: str
    raw: str


class ImportStatus(ImportProgress, kw_only=True):
    """How far an import is.

    ``state`` is ``waiting``, ``running``, ``done`` or ``failed``; ``read_bytes`` of ``bytes`` were
    read. ``kept`` plays were accepted; ``dropped`` records were left out on purpose and
    ``rejected`` ones could not be used, by reason. ``examples`` are the first rejected records;
    ``refused`` is true if all of them can be downloaded. ``problem`` is the error of a failed
    import, ``reason`` its kind (``unknown-format``, ``refused``, ``lost``, ``mistake``).
    """

    id: str
    examples: list[RefusedRecord]
    refused: bool
    requested_at: str
    finished_at: str | None


class ImportFormat(msgspec.Struct):
    """A format that is recognised, by its content."""

    name: str
    about: str


class Imports(msgspec.Struct):
    """Uploads, the newest first; ``max_bytes`` is the limit of one file."""

    imports: list[ImportStatus]
    formats: list[ImportFormat]
    max_bytes: int


_FILE = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    status_code=202,
    responses=answers(ImportStatus, 202, "On record; ask its address how far it is.")
    | answers(ImportStatus, 200, "This file was uploaded before: nothing was done twice."),
    openapi_extra=_FILE,
    summary="Upload a history",
)
async def upload(
    request: Request,
    services: With,
    caller: Caller,
    user: str,
    name: Annotated[str, Query(max_length=200)] = "upload",
    private: bool = False,
) -> Response:
    """Take an export of another service as the body of the request; a worker imports its plays.

    The format is recognised by the content. `private` also takes plays of private sessions. The
    same file is imported once: a second upload returns the first. An interrupted import resumes
    at its last checkpoint.
    """
    check_own(caller, user)
    (waiting,) = (await run(services, _OPEN, {"user": user}))[0]
    if waiting >= MOST_WAITING:
        message = f"{waiting} of your files wait to be imported: upload more after them."
        raise ApiError(429, "too-many-imports", message, retry_after=30)
    given = uuid4()
    target = folder_of(services.settings.paths.uploads, user) / str(given)
    received = await receive(request, target)
    values = {
        "id": given, "user": user, "name": _named(name), "bytes": received.size,
        "sha256": received.digest, "private": private,
    }  # fmt: skip
    noted = entry(
        caller.user_id, "data.import", user, origin_of(request), "requested", id=str(given)
    )
    try:
        ((kept,),) = await run(services, ASK, values, noted)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if kept != given:
        await asyncio.to_thread(target.unlink, missing_ok=True)
    status = await _find(services, user, kept)
    reply = json_reply(status, 202 if kept == given else 200)
    reply.headers["location"] = f"{request.url.path}/{kept}"
    return reply


@router.get("", responses=answers(Imports), summary="My imports")
async def imports(request: Request, services: With, caller: Caller, user: str) -> Response:
    """List what was uploaded, and which formats and sizes are taken."""
    await _note(request, services, caller, user)
    rows = await run(services, _LIST, {"user": user})
    known = [ImportFormat(name, about) for name, about in FORMATS.items()]
    return json_reply(Imports([_shown(row) for row in rows], known, MAX_UPLOAD))


@router.get("/{import_id}", responses=answers(ImportStatus), summary="How far is an import?")
async def status(
    request: Request, services: With, caller: Caller, user: str, import_id: UUID
) -> Response:
    """Say how far one import is."""
    await _note(request, services, caller, user)
    return json_reply(await _find(services, user, import_id))


@router.get(
    "/{import_id}/refused",
    response_class=FileResponse,
    responses={
        200: {
            "description": "A JSON object a line; mended, it can be uploaded again.",
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        }
    },
    summary="The records an import refused",
)
async def refused(
    request: Request, services: With, caller: Caller, user: str, import_id: UUID
) -> Response:
    """Return every refused record with its reason and its original text."""
    await _note(request, services, caller, user)
    rows = await run(services, _REJECTS, {"user": user, "id": import_id})
    file = rejects_file(services.settings.paths.imports, rows[0][0]) if rows else None
    if file is None or not file.is_file():
        raise ApiError(404, "nothing-refused", "There are no refused records of such an import.")
    name = f"refused-{import_id}.jsonl"
    return FileResponse(file, media_type="application/x-ndjson", filename=name)


async def _note(request: Request, services: Services, caller: Identity, user: str) -> None:
    """Check the caller; write to the audit trail that an administrator reads another's import."""
    check_own(caller, user)
    if caller.user_id != user:
        await services.audit.note_reading(caller.user_id, user, origin_of(request))


async def _find(services: Services, user: str, given: UUID) -> ImportStatus:
    rows = await run(services, _ONE, {"user": user, "id": given})
    if not rows:
        raise ApiError(404, "unknown-import", f"{user!r} has no import {given}.")
    return _shown(rows[0])


def _named(name: str) -> str:
    """Return the file's name for people: the last part of a path, without what cannot be shown."""
    last = PurePath(name.replace("\\", "/")).name
    plain = "".join(letter for letter in last if letter.isprintable()).strip()
    return plain[:200] or "upload"


def _shown(columns: tuple[Any, ...]) -> ImportStatus:
    row = ImportRow(**dict(zip(ImportRow.__struct_fields__, columns, strict=True)))
    return ImportStatus(
        **{name: getattr(row, name) for name in ImportProgress.__struct_fields__},
        id=str(row.id),
        examples=msgspec.convert(row.examples, list[RefusedRecord]),
        refused=row.rejects != "",
        requested_at=stamp(row.requested_at) or "",
        finished_at=stamp(row.finished_at),
    )
