"""The ASGI application: headers, the session, proofs of origin, and what an error looks like."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, unquote, urlsplit

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contracts.errors import StoreUnavailable
from web import csrf
from web.api import Away, Refused
from web.forms import NoForm, read_form
from web.navigation import groups_for
from web.routes import ROUTES, Page
from web.sign_in import prolonged, remember
from web.site import Site
from web.visit import Forbidden, SignInFirst, Visit

log = logging.getLogger(__name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_NOT_KEPT = (b"cache-control", b"no-store")
_AS = "/ui/as/"


def create_app(site: Site) -> ASGIApp:
    """Return the application around what it works with."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await site.close()

    inner = Starlette(lifespan=lifespan)
    inner.add_middleware(GZipMiddleware, minimum_size=1024)
    inner.add_route("/{path:path}", _Front(site).answer, methods=["GET", "HEAD", "POST"])
    return _Safe(inner)


class _Safe:
    """Puts the headers that protect a page on every answer."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *_HEADERS]
                if all(name != b"cache-control" for name, _ in headers):
                    headers.append(_NOT_KEPT)
                message = {**message, "headers": headers}
            await send(message)

        await self._inner(scope, receive, guarded)


class _Front:
    """Finds the page of a request, and answers what goes wrong on the way."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        path = request.url.path
        if path.startswith("/ui/static/"):
            return self._static(request, path.removeprefix("/ui/static/"))
        if path in ("/", "/ui", "/favicon.ico"):
            return RedirectResponse(
                self._site.assets.address("favicon.svg") if "icon" in path else "/ui/", 308
            )
        if path == "/healthz":
            return PlainTextResponse("ok")
        visit = Visit(self._site, request, None)
        try:
            await self._recognise(visit)
            found = _find(visit)
            if found is None:
                return visit.page("errors/missing.html", "Not found", 404, message="")
            page, values = found
            answer = await self._serve(visit, page, values)
            if await prolonged(visit):
                remember(visit, answer, visit.secret)
            return answer
        except Exception as error:
            return await self._failure(visit, error)

    async def _serve(self, visit: Visit, page: Page, values: dict[str, str]) -> Response:
        request = visit.request
        if page.role:
            groups = groups_for(visit.who, visit.base)
            if request.url.path == "/ui/" and groups and not visit.who.may(page.role):
                # Who has signed in without being a listener begins with what is theirs.
                return RedirectResponse(groups[0].entries[0].address, 303)
            visit.need(page.role)
        if request.method == "POST":
            if page.method != "POST":
                return PlainTextResponse("This page takes no form.", 405, {"allow": "GET"})
            if not page.streamed:
                visit.form = await read_form(request)
            if not csrf.same_origin(request):
                return visit.page("errors/stale.html", "Not sent from here", 403)
            if page.streamed:
                return await page.handler(visit, **values)
            if visit.session and not csrf.matches(request, visit.form, visit.session.csrf):
                return visit.page("errors/stale.html", "This form is outdated", 403)
        return await page.handler(visit, **values)

    async def _recognise(self, visit: Visit) -> None:
        visit.secret = visit.request.cookies.get(self._site.cookie, "")
        visit.session = await self._site.sessions.find(visit.secret) if visit.secret else None
        visit.subject = visit.session.user if visit.session else ""
        raw = visit.request.scope.get("raw_path", visit.request.url.path.encode()).decode("latin-1")
        if raw.startswith(_AS) and visit.session is not None:
            name, _, rest = raw.removeprefix(_AS).partition("/")
            visit.need("admin")
            visit.subject, visit.base = unquote(name), _AS + name
            visit.request.scope["path"] = "/ui/" + unquote(rest)
            visit.request = Request(visit.request.scope, visit.request.receive)

    def _static(self, request: Request, name: str) -> Response:
        asset = self._site.assets.find(name)
        if asset is None:
            return PlainTextResponse("There is no such file.", 404)
        return asset.reply("gzip" in request.headers.get("accept-encoding", ""))

    async def _failure(self, visit: Visit, error: Exception) -> Response:
        """Return the page of what went wrong: what happened, what is safe, what to do."""
        if isinstance(error, SignInFirst):
            return _to_sign_in(visit, ended=bool(visit.secret))
        if isinstance(error, Forbidden):
            return visit.page("errors/forbidden.html", "Not for you", 403, role=error.role)
        if isinstance(error, NoForm):
            return visit.page("errors/stale.html", "This form is not known", 400)
        if isinstance(error, Refused):
            return await self._refused(visit, error)
        if isinstance(error, StoreUnavailable):
            return PlainTextResponse(
                "Sign-ins cannot be read at the moment (Redis does not answer). Plays are safe. "
                "Reload this page in a few seconds.",
                503,
                {"retry-after": "3"},
            )
        if isinstance(error, Away):
            page = visit.page("errors/away.html", "Away", 503, message=error.message)
            page.headers["retry-after"] = "3"
            return page
        log.error("%s failed", visit.request.url.path, exc_info=error)
        return visit.page("errors/mistake.html", "Something went wrong", 500)

    async def _refused(self, visit: Visit, error: Refused) -> Response:
        if error.status == 401:  # the token has ended, and the session with it
            await self._site.sessions.end(visit.secret)
            visit.session = None
            return _to_sign_in(visit, ended=True)
        if error.status == 404:
            return visit.page("errors/missing.html", "Not found", 404, message=error.message)
        if error.status == 400 and error.field.endswith("_id") and visit.request.method == "GET":
            # The address has something in the place of an id that cannot be one.
            return visit.page("errors/missing.html", "Not found", 404, message="")
        if error.status == 429:
            return visit.page("errors/busy.html", "Too many requests", 429, error=error)
        if error.status == 403:
            return visit.page("errors/forbidden.html", "Not for you", 403, role=error.message)
        return visit.page("errors/refused.html", "Refused", error.status, error=error)


def _find(visit: Visit) -> tuple[Page, dict[str, str]] | None:
    path = visit.request.url.path
    wanted = "POST" if visit.request.method == "POST" else "GET"
    other = None
    for page in ROUTES:
        match = page.pattern.fullmatch(path)
        if match is None:
            continue
        if page.method == wanted:
            return page, match.groupdict()
        other = page, match.groupdict()
    return other if wanted == "POST" else None


def _to_sign_in(visit: Visit, *, ended: bool) -> Response:
    request = visit.request
    here = "/ui/"
    if visit.scripted:  # not the fragment: the page that asks for it
        shown = urlsplit(request.headers.get("hx-current-url", here))
        here = shown.path + (f"?{shown.query}" if shown.query else "")
    elif request.method == "GET":
        here = request.scope.get("raw_path", b"/ui/").decode("latin-1")
        here += f"?{request.url.query}" if request.url.query else ""
    target = f"/ui/login?next={quote(here, safe='')}"
    if ended:
        target += "&ended=1"
    if visit.scripted:  # htmx follows this with the whole page
        return Response(status_code=401, headers={"hx-redirect": target})
    response = RedirectResponse(target, 303)
    if ended:
        response.delete_cookie(visit.site.cookie, path="/", secure=visit.site.secure, httponly=True)
    return response
