"""One feed for each listener with an open page: an upstream stream, shared by all tabs.

A play is one event upstream. After it the list is asked for once for each kind of tab and rendered
once; each list asked for is an impression, so nothing is asked for a tab that is hidden (the
browser closes the stream of such a tab).

Tabs of one listener may belong to several sessions, and the upstream stream uses the token of one
of them. The API ends that stream with its token. The feed asks the API about the other tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import time
from typing import Any

from contracts.retries import Backoff
from web.api import Api, Away, Refused, part
from web.live.sse import Event, lines_of, read
from web.live.tabs import Tab, Wants
from web.render import Templates

log = logging.getLogger(__name__)

#: Plays that arrive within so many seconds of one another make one list.
DEBOUNCE = 0.03
#: Time between two lists of one listener (seconds): an import is not a slide show.
GAP = 0.5
#: Time between two questions whether the tokens of open tabs are still good (seconds): random, so
#: that those of tabs that were opened together do not come together.
CHECK = (15.0, 20.0)
_PAUSES = Backoff(1.0, 10.0)
_CHANGES = frozenset({"play", "feedback", "changed"})


class Feed:
    """What happens to one listener, for every tab that shows it."""

    def __init__(self, api: Api, templates: Templates, user: str) -> None:
        self._api = api
        self._templates = templates
        self._user = user
        self.tabs: set[Tab] = set()
        #: State of the listener's plays by the last event; ``None`` while the stream is down.
        self.window: str | None = None
        self._last: dict[str, Any] = {}
        self._changed = asyncio.Event()
        #: Token of the upstream stream; empty while it is down.
        self._followed_with = ""
        self._tasks = [
            asyncio.create_task(self._follow()),
            asyncio.create_task(self._update()),
            asyncio.create_task(self._check()),
        ]

    def stop(self) -> None:
        """Close the upstream stream."""
        for task in self._tasks:
            task.cancel()

    def ask(self) -> None:
        """Have the list made now: a tab may show an older one."""
        self._changed.set()

    def _send(self, event: Event) -> None:
        for tab in self.tabs:
            tab.put(event)

    # -- upstream -----------------------------------------------------------------------------

    async def _follow(self) -> None:
        failures, last = 0, ""
        path = f"/v1/users/{part(self._user)}/events"
        while True:
            tab = next(iter(self.tabs), None)
            token = tab.token if tab else ""
            try:
                async with self._api_of(tab).stream(path, token, last) as answer:
                    failures, self._followed_with = 0, token
                    async for event in read(lines_of(answer.aiter_text())):
                        last = event.id or last
                        if event.name == "signed-out":
                            self._sign_out(token)
                            break
                        self._take_safely(event)
            except Refused as error:
                if error.status in (401, 403):
                    self._sign_out(token)
                log.info("the API refused the event stream of a listener: %s", error.code)
            except Away:
                pass
            except Exception:
                log.exception("the event stream of a listener failed; reconnecting")
            self.window, self._followed_with = None, ""
            if failures:
                self._send(_state("away"))
            await asyncio.sleep(_PAUSES.pause(failures) if failures else 0.1)
            failures += 1

    def _sign_out(self, token: str) -> None:
        """End the tabs of a token that has ended; tabs with other tokens stay."""
        for tab in [tab for tab in self.tabs if tab.token == token]:
            tab.sign_out()
            self.tabs.discard(tab)

    def _api_of(self, tab: Tab | None) -> Api:
        return self._api.on_behalf_of(tab.origin if tab else "")

    async def _check(self) -> None:
        """Ask about the tokens that the upstream stream does not use."""
        while True:
            await asyncio.sleep(random.uniform(*CHECK))  # noqa: S311
            for tab in {tab.token: tab for tab in self.tabs}.values():
                if tab.token != self._followed_with and not await self._may_read(tab):
                    self._sign_out(tab.token)

    async def _may_read(self, tab: Tab) -> bool:
        try:
            me = await self._api_of(tab).call("GET", "/v1/me", tab.token)
            own = me["user"] == self._user and "listener" in me["roles"]
            return own or "admin" in me["roles"]
        except Refused as error:
            return error.status not in (401, 403)
        except Away:
            return True  # asked again after the next pause
        except Exception:
            log.exception("the API's answer about a token cannot be read; asking again later")
            return True

    def _take_safely(self, event: Event) -> None:
        try:
            self._take(event)
        except Exception:  # the events after it are shown all the same
            log.exception(
                "event %r of a listener cannot be rendered; the page skips it", event.name
            )

    def _take(self, event: Event) -> None:
        if self.window is None:
            self._send(_state("live"))
        self.window = event.id
        if event.name == "following":
            # Events before this one are lost: a list of another window missed some.
            if any(tab.window != event.id for tab in self.tabs if tab.wants.kind == "next"):
                self._changed.set()
            return
        about = json.loads(event.data)
        if event.name in ("play", "refused"):
            for tab in self.tabs:
                if tab.wants.kind == "connect":
                    tab.put(Event("arrived", self._render("arrived.html", tab.wants, event=about)))
        if event.name == "playing-now":
            for tab in self.tabs:
                tab.put(Event("now", self._render("now.html", tab.wants, now=about)))
        if event.name == "play":
            self._send(Event("play", ""))
        if event.name in _CHANGES:
            if event.name != "changed":
                self._last = about
            self._changed.set()

    # -- lists --------------------------------------------------------------------------------

    async def _update(self) -> None:
        failures = 0
        while True:
            await self._changed.wait()
            await asyncio.sleep(DEBOUNCE)
            self._changed.clear()
            wanted = {tab.wants for tab in self.tabs if tab.wants.kind == "next"}
            if all([await self._make_safely(wants) for wants in wanted]):
                if failures and self.window is not None:
                    self._send(_state("live"))
                failures = 0
                await asyncio.sleep(GAP)
            else:
                self._changed.set()
                failures += 1
                await asyncio.sleep(_PAUSES.pause(failures))

    async def _make_safely(self, wants: Wants) -> bool:
        try:
            return await self._make(wants)
        except Exception:  # an answer of another shape: the next one may be read again
            log.exception("a list cannot be rendered; the page keeps the last one")
            return False

    async def _make(self, wants: Wants) -> bool:
        """Send a new list to the tabs that want it; ``False`` if there is none at the moment."""
        tabs = [tab for tab in self.tabs if tab.wants == wants]
        if not tabs:
            return True
        started = time.perf_counter()
        try:
            answer = await self._api_of(tabs[0]).call(
                "GET",
                f"/v1/users/{part(self._user)}/recommendations",
                tabs[0].token,
                limit=wants.length,
                discover=wants.discover,
                diversity=wants.variety,
            )
        except (Away, Refused) as error:
            if isinstance(error, Refused) and error.status in (401, 403):
                self._sign_out(tabs[0].token)
                return await self._make(wants)  # with the token of another tab
            for tab in tabs:
                tab.put(_state("away"))
            return False
        html = self._render(
            "list.html",
            wants,
            answer=answer,
            after=self._last,
            took=(time.perf_counter() - started) * 1000,
            csrf="",
            age=None,
        )
        event = Event("list", html)
        for tab in tabs:
            tab.window = answer["window"]
            tab.put(event)
        return True

    def _render(self, template: str, wants: Wants, **values: Any) -> str:
        return self._templates.render(
            template, base=wants.base, zone=wants.zone, subject=self._user, wants=wants, **values
        )


def _state(state: str) -> Event:
    return Event("state", state)


class Feeds:
    """The feeds of this process."""

    def __init__(self, api: Api, templates: Templates) -> None:
        self._api = api
        self._templates = templates
        self._feeds: dict[str, Feed] = {}

    @property
    def count(self) -> int:
        """Number of open tabs."""
        return sum(len(feed.tabs) for feed in self._feeds.values())

    def follows(self, user: str) -> bool:
        """Whether a page of this listener is open: a new tab will not open a stream upstream."""
        return user in self._feeds

    def open(
        self,
        user: str,
        wants: Wants,
        token: str,
        *,
        window: str = "",
        again: bool = False,
        origin: str = "",
    ) -> Tab:
        """Return a new tab.

        Parameters
        ----------
        window
            Of the list it shows; a list of another window is replaced.
        again
            It comes back and cannot know what it missed.
        origin
            Address of the browser.
        """
        tab = Tab(wants, token, window, origin)
        feed = self._feeds.get(user)
        if feed is None:
            feed = self._feeds[user] = Feed(self._api, self._templates, user)
        feed.tabs.add(tab)
        if feed.window is not None:
            tab.put(_state("live"))
        if wants.kind == "next" and (again or feed.window not in (None, window)):
            feed.ask()
        return tab

    def close(self, user: str, tab: Tab) -> None:
        """Forget a tab; a feed without any ends."""
        tab.end()
        feed = self._feeds.get(user)
        if feed is None:
            return
        feed.tabs.discard(tab)
        if not feed.tabs:
            feed.stop()
            with contextlib.suppress(KeyError):
                del self._feeds[user]

    def end(self) -> None:
        """End every tab: the process stops, and browsers come back by themselves."""
        for feed in self._feeds.values():
            for tab in feed.tabs:
                tab.end()
            feed.stop()
