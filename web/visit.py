"""One request of a visitor: who asks, whose pages are shown, and what a page needs to answer."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from web.api import Api, Away, Refused, part
from web.csrf import mask
from web.navigation import current, groups_for
from web.sessions import Session
from web.site import Site


class SignInFirst(Exception):
    """The page is only for those who have signed in."""


class Forbidden(Exception):
    """The visitor's token lacks a role."""

    def __init__(self, role: str) -> None:
        super().__init__(role)
        self.role = role


class Wrong(dict[str, str]):
    """Messages by field of a form; empty for a field without one.

    Reading must not add the field: templates also ask whether there is any message.

    Examples
    --------
    >>> wrong = Wrong()
    >>> wrong["tag"], bool(wrong)
    ('', False)
    """

    def __missing__(self, field: str) -> str:
        return ""


@dataclass(slots=True)
class Visit:
    """A request with everything a page needs.

    Attributes
    ----------
    site
        What the process holds.
    secret
        Id of the session; empty without one.
    subject
        The listener whose pages these are: the visitor, or another for an administrator.
    base
        ``/ui``, or ``/ui/as/<listener>``: the beginning of every address of a listener's page.
    form
        Fields of a POST, once read.
    """

    site: Site
    request: Request
    session: Session | None
    secret: str = ""
    subject: str = ""
    base: str = "/ui"
    form: dict[str, str] = field(default_factory=dict)

    @property
    def who(self) -> Session:
        """The visitor's session; raises :class:`SignInFirst` without one."""
        if self.session is None:
            raise SignInFirst
        return self.session

    @property
    def origin(self) -> str:
        """Address of the browser, or of the first proxy that is not trusted; empty if unknown."""
        client = self.request.client
        try:
            return str(ipaddress.ip_address(client.host)) if client else ""
        except ValueError:
            return ""

    @property
    def api(self) -> Api:
        """The API, asked on behalf of this visitor."""
        return self.site.api.on_behalf_of(self.origin)

    @property
    def scripted(self) -> bool:
        """Whether htmx asks: a fragment is enough."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def for_another(self) -> bool:
        """Whether an administrator looks at another listener's pages."""
        return self.session is not None and self.subject != self.session.user

    def need(self, role: str) -> None:
        """Raise unless the visitor has a role."""
        if not self.who.may(role):
            raise Forbidden(role)

    def query(self, name: str, default: str = "") -> str:
        """Return a parameter of the address."""
        return self.request.query_params.get(name, default)

    def offset(self, most: int) -> int:
        """Return the ``offset`` of the address, 0 unless it is a whole number up to `most`."""
        text = self.query("offset")
        # isdigit() accepts characters that int() refuses ("²").
        whole = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        return int(text) if whole and int(text) <= most else 0

    async def get(self, path: str, **query: Any) -> Any:
        """Send a GET to the API with the visitor's token; raises Away and Refused."""
        return await self.api.call("GET", path, self.who.token, **query)

    async def send(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Send a request that changes data, with the visitor's token; raises Away and Refused."""
        return await self.api.call(method, path, self.who.token, body=body, **query)

    async def optional(self, path: str, default: Any = None, **query: Any) -> Any:
        """Return an answer that the page does not need; ``default`` if the API has none."""
        try:
            return await self.get(path, **query)
        except Away:
            return default
        except Refused as error:
            if error.status in (401, 429):
                raise
            return default

    async def several(self, *calls: Any) -> list[Any]:
        """Wait for calls together; the first error is raised."""
        return list(await asyncio.gather(*calls))

    def of_subject(self, rest: str = "") -> str:
        """Return the API's path of the listener whose pages are shown, with ``rest`` appended."""
        return f"/v1/users/{part(self.subject)}{rest}"

    def page(self, template: str, title: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        """Return a page (or, for htmx, the part of it that a template's fragment renders)."""
        values["wrong"] = Wrong(values.get("wrong") or {})
        rendered = self.site.templates.render(template, **(self._frame(title) | values))
        return HTMLResponse(rendered, status)

    def _frame(self, title: str) -> dict[str, Any]:
        """Return the values that every page has."""
        session = self.session
        groups = groups_for(session, self.base) if session else []
        path = self.base + self.request.url.path.removeprefix("/ui")
        return {
            "title": title,
            "visit": self,
            "session": session,
            "base": self.base,
            "subject": self.subject,
            "zone": session.time_zone if session else "UTC",
            "theme": session.theme if session else "",
            "csrf": mask(session.csrf) if session else "",
            "groups": groups,
            "group": current(groups, path),
            "path": path,
            "said": "",
        }

    def fragment(self, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        """Return a fragment for htmx."""
        return self.page(template, "", status, **values)

    def go(self, path: str, **query: str) -> Response:
        """Return the answer to a form: look at this page now."""
        asked = f"{'&' if '?' in path else '?'}{urlencode(query)}" if query else ""
        return RedirectResponse(f"{path}{asked}", 303)
