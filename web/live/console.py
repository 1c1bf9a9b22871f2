"""The console, live: one look at the API every two seconds for all open consoles."""

from __future__ import annotations

import asyncio

from web.api import Api, Away, Refused
from web.live.sse import Event
from web.live.tabs import Tab, Wants
from web.operator.state import view
from web.render import Templates

EVERY = 2.0


class ConsoleFeed:
    """Asks while a console is open, with the token of one of them."""

    def __init__(self, api: Api, templates: Templates) -> None:
        self._api = api
        self._templates = templates
        self.tabs: set[Tab] = set()
        self._task: asyncio.Task[None] | None = None

    def open(self, token: str, zone: str, origin: str = "") -> Tab:
        """Return a new tab."""
        tab = Tab(Wants("ops", "/ui", zone), token, origin=origin)
        self.tabs.add(tab)
        tab.put(Event("state", "live"))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        return tab

    def close(self, tab: Tab) -> None:
        """Forget a tab; without any nobody asks."""
        tab.end()
        self.tabs.discard(tab)
        if not self.tabs and self._task is not None:
            self._task.cancel()
            self._task = None

    def end(self) -> None:
        """End every tab: the process stops."""
        for tab in self.tabs:
            tab.end()

    async def _look(self) -> None:
        while self.tabs:
            await asyncio.sleep(EVERY)
            for token in {tab.token for tab in self.tabs}:
                await self._send([tab for tab in self.tabs if tab.token == token], token)

    async def _send(self, tabs: list[Tab], token: str) -> None:
        try:
            api = self._api.on_behalf_of(tabs[0].origin)
            state = await api.call("GET", "/v1/operations", token)
        except Away:
            events = [Event("state", "away")]
        except Refused as error:
            if error.status in (401, 403):
                for tab in tabs:
                    tab.sign_out()
                    self.tabs.discard(tab)
            return
        else:
            html = self._templates.render(
                "ops_state.html", zone=tabs[0].wants.zone, base="/ui", **view(state)
            )
            events = [Event("state", "live"), Event("ops", html)]
        for tab in tabs:
            for event in events:
                tab.put(event)
