"""The application factory."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from api import docs_try, health, hot, privacy
from api.account import me, relays, sessions, tokens
from api.analytics import lineage, metrics, model_history, quality
from api.catalogue import find, pages, review, stations
from api.docs import ICON, SCRIPT, render
from api.edge import Edge, error_reply
from api.errors import INTERNAL, ApiError
from api.experiments import endpoint as experiments
from api.export import endpoint as export
from api.gate import Gate
from api.imports import endpoint as uploads
from api.lastfm import audioscrobbler, browser, endpoint
from api.listenbrainz import (
    delete,
    imports,
    lookup,
    pins,
    playlists,
    ratings,
    read,
    recommendation,
    stats,
)
from api.listenbrainz import feedback as said
from api.listeners import artists, events, life, opinions, plays
from api.listeners import stats as period
from api.listeners import stream as over_months
from api.openapi import describe, operation_id
from api.operation import generations, lake, letters, runs, state, suspects, trail
from api.public_address import public_address
from api.services import Services
from api.serving import catalogue, feedback, reasons, reports, trending, what_if

_DESCRIPTION = """\
Post plays, ask what next. Every 2xx on plays means that the broker has acknowledged them.
Besides Segue's own API this server speaks ListenBrainz (point a client at its root)."""


def create_app(services: Services) -> Edge:
    """Return the ASGI application around its services.

    The services open and close with the application's lifespan.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await services.open()
        yield
        await services.close()

    app = FastAPI(
        title="Segue",
        version=importlib.metadata.version("segue"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    app.state.services = services
    gate = Gate(services.accounts, services.rates, services.settings)
    edge = Edge(services, app, hot.HotPaths(services).find, gate)
    listenbrainz = (
        read, stats, recommendation, playlists, said, ratings, imports, delete, lookup, pins,
    )  # fmt: skip
    for module in (
        hot,
        *listenbrainz,
        catalogue,
        reasons,
        what_if,
        trending,
        pages,
        find,
        review,
        stations,
        feedback,
        me,
        sessions,
        tokens,
        relays,
        events,
        plays,
        life,
        opinions,
        artists,
        period,
        over_months,
        state,
        runs,
        trail,
        suspects,
        letters,
        generations,
        lake,
        metrics,
        lineage,
        model_history,
        quality,
        reports,
        privacy,
        export,
        uploads,
        endpoint,
        experiments,
        browser,
        audioscrobbler,
        health,
        docs_try,
    ):
        app.include_router(module.router)
    app.add_api_route("/docs", _docs, include_in_schema=False)
    app.add_api_route("/docs.js", _docs_script, include_in_schema=False)
    app.add_api_route("/favicon.ico", _icon, include_in_schema=False)
    # Lists and plays do not come by here (the edge answers them); streams and archives stay as
    # they are.
    app.add_middleware(GZipMiddleware, minimum_size=2048, compresslevel=5)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    app.add_exception_handler(ApiError, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)  # the edge logs it
    return edge


_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def _docs(request: Request) -> HTMLResponse:
    services: Services = request.app.state.services
    here = str(public_address(request, services.settings)).rstrip("/")
    page = render(request.app.openapi(), here)
    return HTMLResponse(page, headers=_PAGE_HEADERS)


async def _docs_script() -> Response:
    return Response(SCRIPT, media_type="text/javascript")


async def _icon() -> Response:
    return Response(ICON, media_type="image/svg+xml", headers={"cache-control": "max-age=86400"})


def _rendered(request: Request, error: ApiError) -> Response:
    reply = error_reply(error, request.url.path)
    headers = {key.decode(): value.decode() for key, value in reply.headers}
    return Response(reply.body, reply.status, headers, media_type="application/json")


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return _rendered(request, error)


async def _unexpected(request: Request, error: Exception) -> Response:
    return _rendered(request, INTERNAL)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http")
    message = "There is nothing here; see /docs." if error.status_code == 404 else error.detail
    response = _rendered(request, ApiError(error.status_code, code, message))
    response.headers.update(error.headers or {})
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:])
    return _rendered(
        request, ApiError(400, "bad-parameter", f"{field}: {first['msg']}.", field=field)
    )
