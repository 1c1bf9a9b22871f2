"""GET /v1/lake: the tables of the lake, their size, and their versions."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import msgspec
from fastapi import APIRouter, Response

from api.errors import ApiError, unavailable
from api.services import Services
from api.web import Caller, With, answers, json_reply
from contracts.accounts import ADMIN_ROLE
from contracts.lake_state import LakeTable, LakeVersion

router = APIRouter(prefix="/v1", tags=["operation"])

#: How long an answer is cached, and how long the process that reads the tables may run (seconds).
_GOOD_FOR, _PATIENCE = 10.0, 60.0
_lock = asyncio.Lock()
_kept: dict[tuple[str, ...], tuple[float, bytes]] = {}


class Lake(msgspec.Struct):
    """The tables of the lake; empty until the lake sink has written the first play."""

    tables: list[LakeTable]


class LakeVersions(msgspec.Struct):
    """The newest commits of a table, at most a hundred."""

    table: LakeTable
    versions: list[LakeVersion]


@router.get("/lake", responses=answers(Lake), summary="Tables of the lake")
async def lake(services: With, caller: Caller) -> Response:
    """List the tables with files, rows, bytes and newest version (administrators)."""
    caller.check_role(ADMIN_ROLE)
    return json_reply(Lake(await _tables(services)))


@router.get(
    "/lake/{table}/versions", responses=answers(LakeVersions), summary="Versions of a table"
)
async def versions(services: With, caller: Caller, table: str) -> Response:
    """List the commits to a table, the newest first (administrators)."""
    caller.check_role(ADMIN_ROLE)
    found = next((one for one in await _tables(services) if one.name == table), None)
    if found is None:
        raise ApiError(404, "unknown-table", f"The lake has no table {table!r}.")
    text = await _look(services, table)
    commits = msgspec.json.decode(text, type=list[LakeVersion])
    return json_reply(LakeVersions(found, commits))


async def _tables(services: Services) -> list[LakeTable]:
    text = await _look(services)
    return msgspec.json.decode(text, type=list[LakeTable])


async def _look(services: Services, table: str = "") -> bytes:
    """Return the program's output, cached for ten seconds; one run at a time."""
    async with _lock:
        about = str(services.settings.home), table
        at, text = _kept.get(about, (-_GOOD_FOR, b""))
        if time.monotonic() - at < _GOOD_FOR:
            return text
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "contracts.lake_state", *filter(None, [table]),
            env={**os.environ, **services.settings.environ()},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            text, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise unavailable("The lake does not answer") from None
        if process.returncode:
            raise unavailable("The lake cannot be read")
        if len(_kept) > 50:
            _kept.clear()
        _kept[about] = time.monotonic(), text
        return text
