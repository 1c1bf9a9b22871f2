"""Snowpipe's REST API: files are announced, loaded in the background, and reported once.

Fields as publicly documented; they were not compared with the live service.
"""

from __future__ import annotations

import queue
import threading
import time
from datetime import UTC, datetime
from typing import Any

import duckdb
from fakesnow.instance import FakeSnow
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.snowflake_emulator import keys
from tests.snowflake_emulator.account import Account, Pipe
from tests.snowflake_emulator.copies import copy_file
from tests.snowflake_emulator.faults import Faults
from tests.snowflake_emulator.statements import stage_folder


class Snowpipe:
    """Loads announced files, one after the other, each at most once a pipe.

    Parameters
    ----------
    warehouse
        Gives the emulated databases; set by the server before anything is announced.
    """

    def __init__(self, account: Account, faults: Faults) -> None:
        self.account = account
        self.faults = faults
        self.warehouse: FakeSnow | None = None
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.loaded: set[tuple[str, str]] = set()
        self._unreported: set[tuple[str, str]] = set()
        self._announced: queue.Queue[tuple[Pipe, str, str] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="snowpipe", daemon=True)
        self.routes = [
            Route("/v1/data/pipes/{pipe}/insertFiles", self._insert_files, methods=["POST"]),
            Route("/v1/data/pipes/{pipe}/insertReport", self._insert_report),
            Route("/v1/data/pipes/{pipe}/loadHistoryScan", self._scan),
        ]

    def start(self) -> None:
        """Begin to load what is announced."""
        self._thread.start()

    def stop(self) -> None:
        """End after the load in progress."""
        self._announced.put(None)
        self._thread.join(10)

    def _work(self) -> None:
        while (announced := self._announced.get()) is not None:
            pipe, path, received = announced
            if (pipe.name, path) in self.loaded:
                continue  # Snowpipe reports nothing on a file it has loaded before
            self.faults.meet("load:before")
            entry = self._load(pipe, path) | {"path": path, "timeReceived": received}
            self.faults.meet("load:after")
            if not self.faults.is_unreported(path):
                self.history.setdefault(pipe.name, []).append(entry)

    def _load(self, pipe: Pipe, path: str) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "stageLocation": f"stages/{pipe.stage}/",
            "fileSize": 0,
            "rowsInserted": 0,
            "rowsParsed": 0,
            "errorsSeen": 0,
            "errorLimit": 1,
            "complete": True,
        }
        file = stage_folder(pipe.stage) / path
        try:
            if self.faults.is_broken(path):
                raise duckdb.Error("Numeric value 'x' is not recognized")
            entry["fileSize"] = file.stat().st_size
            assert self.warehouse is not None
            cursor = self.warehouse.duck_conn.cursor()
            rows = copy_file(cursor, pipe.table, pipe.metadata, path, file)
        except (OSError, duckdb.Error) as error:
            first = str(error) if file.exists() else "Remote file was not found."
            entry |= {"status": "LOAD_FAILED", "errorsSeen": 1, "firstError": first}
        else:
            self.loaded.add((pipe.name, path))
            entry |= {"status": "LOADED", "rowsInserted": rows, "rowsParsed": rows}
        return entry | {"lastInsertTime": _now()}

    async def _insert_files(self, request: Request) -> Response:
        if (bad := await self._enter(request, "insertFiles")) is not None:
            return bad
        pipe = self.account.pipes[request.path_params["pipe"].upper()]
        for file in (await request.json()).get("files") or []:
            self._announced.put((pipe, file["path"], _now()))
        if bad := _error(await run_in_threadpool(self.faults.meet, "insertFiles:after")):
            return bad
        return JSONResponse({"responseCode": "SUCCESS", "requestId": _request_id(request)})

    async def _insert_report(self, request: Request) -> Response:
        if (bad := await self._enter(request, "insertReport")) is not None:
            return bad
        name = request.path_params["pipe"].upper()
        entries = self.history.get(name, [])
        start = int(request.query_params.get("beginMark", "1_0").split("_")[1])
        answer = {
            "pipe": name,
            "completeResult": True,
            "nextBeginMark": f"1_{len(entries)}",
            "files": entries[start:],
            "statistics": {"activeFilesCount": self._announced.qsize()},
        }
        if bad := _error(await run_in_threadpool(self.faults.meet, "insertReport:after")):
            return bad
        return JSONResponse(answer)

    async def _scan(self, request: Request) -> Response:
        if (bad := await self._enter(request, "")) is not None:
            return bad
        name = request.path_params["pipe"].upper()
        since = request.query_params["startTimeInclusive"]
        until = request.query_params.get("endTimeExclusive") or _now()
        entries = self.history.get(name, [])
        files = [e for e in entries if since <= e["lastInsertTime"] < until]
        return JSONResponse({"pipe": name, "completeResult": True, "files": files})

    async def _enter(self, request: Request, step: str) -> Response | None:
        if step and (bad := _error(await run_in_threadpool(self.faults.meet, f"{step}:before"))):
            return bad
        try:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            keys.check(token, self.account.keys)
        except keys.Refused as why:
            return _refusal(401, "390144", f"JWT token is invalid. {why}")
        if request.path_params["pipe"].upper() not in self.account.pipes:
            return _refusal(404, "390404", "Specified object does not exist or not authorized.")
        return None


def _error(status: int) -> Response | None:
    return _refusal(status, "000603", "Service unavailable.") if status else None


def _refusal(status: int, code: str, message: str) -> Response:
    return JSONResponse(
        {"data": None, "code": code, "message": message, "success": False, "headers": None},
        status_code=status,
    )


def _request_id(request: Request) -> str:
    return request.query_params.get("requestId", str(time.time_ns()))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
