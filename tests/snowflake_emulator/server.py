"""The emulator as one HTTP server: sessions and queries (fakesnow), stages, Snowpipe."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
import uvicorn
from fakesnow.server import (
    bucket_upload,
    login_request,
    query_request,
    routes,
    shared_fs,
    to_token,
)
from fakesnow.transforms.stage import LOCAL_BUCKET_PATH
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from batch.fold_udf import register
from infra.stack.ports import free_ports
from tests.snowflake_emulator import gaps as gaps  # patches fakesnow
from tests.snowflake_emulator import keys
from tests.snowflake_emulator.account import Account
from tests.snowflake_emulator.copies import copied
from tests.snowflake_emulator.faults import Faults
from tests.snowflake_emulator.snowpipe import Snowpipe
from tests.snowflake_emulator.statements import download, step_of, translate


class Emulator:
    """A running Snowflake, nearly.

    Attributes
    ----------
    port
        Where it listens on 127.0.0.1, plain HTTP.
    faults
        Switches for what goes wrong.
    account
        Pipes, users, roles and what else fakesnow does not know.
    """

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_ports(1)[0]
        self.faults = Faults()
        self.account = Account()
        self._users: dict[str, str] = {}
        self.snowpipe = Snowpipe(self.account, self.faults)
        self.snowpipe.warehouse = shared_fs
        own = {
            "/session/v1/login-request": self._login,
            "/queries/v1/query-request": self._query,
            "/fs_bucket/{path:path}": self._file,
        }
        methods = {"/fs_bucket/{path:path}": ["GET", "PUT"]}
        paths: list[Any] = [
            Route(path, handler, methods=methods.get(path, ["POST"]))
            for path, handler in own.items()
        ]
        paths += [r for r in routes if r.path not in own]
        self._server = uvicorn.Server(
            uvicorn.Config(
                Starlette(routes=paths + self.snowpipe.routes),
                host="127.0.0.1",
                port=self.port,
                log_level="error",
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._server.run, name="snowflake", daemon=True)

    def start(self) -> None:
        """Return once it answers."""
        with contextlib.suppress(duckdb.CatalogException, duckdb.NotImplementedException):
            register(shared_fs.duck_conn)  # once a process
        self.snowpipe.start()
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline, "the emulator does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        """End it; what it held is gone with the process."""
        self.faults.clear()
        self._server.should_exit = True
        self._thread.join(10)
        self.snowpipe.stop()

    async def _login(self, request: Request) -> Response:
        data = json.loads(await _body(request))["data"]
        if data.get("AUTHENTICATOR") == "SNOWFLAKE_JWT":
            try:
                keys.check(str(data.get("TOKEN")), self.account.keys)
            except keys.Refused as why:
                return _failure("390144", f"JWT token is invalid. {why}")
        answer: Response = await login_request(request)
        token = json.loads(bytes(answer.body))["data"]["token"]
        self._users[token] = str(data.get("LOGIN_NAME", ""))
        return answer

    async def _query(self, request: Request) -> Response:
        """Answer a statement; never with an HTTP error, which the connector repeats for minutes."""
        body = json.loads(await _body(request))
        sql = body["sqlText"]
        step = step_of(sql)
        if step and (status := await run_in_threadpool(self.faults.meet, f"{step}:before")):
            return JSONResponse({}, status_code=status)
        try:
            answered = await run_in_threadpool(copied, sql, shared_fs.duck_conn.cursor())
        except (duckdb.Error, OSError) as error:
            return _failure("100016", str(error))
        address = f"{request.url.scheme}://{request.url.netloc}"
        if (files := download(sql, address)) is not None:
            return JSONResponse({"data": files, "success": True})
        user = self._users.get(to_token(request), "")
        body["sqlText"] = answered or await run_in_threadpool(translate, sql, self.account, user)
        answer: Response = await query_request(_with_body(request, body))
        if step and (status := await run_in_threadpool(self.faults.meet, f"{step}:after")):
            return JSONResponse({}, status_code=status)
        if answer.status_code == 500:
            message = json.loads(bytes(answer.body))["message"]
            return _failure("002140", f"not emulated: {message}")
        return answer

    async def _file(self, request: Request) -> Response:
        if request.method == "GET":
            return FileResponse(Path(LOCAL_BUCKET_PATH, request.path_params["path"]))
        if status := await run_in_threadpool(self.faults.meet, "upload:before"):
            return Response(status_code=status)
        answer: Response = await bucket_upload(request)
        if status := await run_in_threadpool(self.faults.meet, "upload:after"):
            return Response(status_code=status)
        return answer


async def _body(request: Request) -> bytes:
    body = await request.body()
    return gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body


def _with_body(request: Request, body: dict[str, Any]) -> Request:
    """Return the request with another body, not compressed."""
    headers = [h for h in request.scope["headers"] if h[0].lower() != b"content-encoding"]
    changed = Request({**request.scope, "headers": headers})
    changed._body = json.dumps(body).encode()
    return changed


def _failure(code: str, message: str) -> Response:
    return JSONResponse(
        {
            "data": {"errorCode": code, "sqlState": "0A000"},
            "code": code,
            "message": message,
            "success": False,
        }
    )
