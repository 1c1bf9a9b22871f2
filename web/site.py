"""What one process of the pages holds open."""

from __future__ import annotations

import time

from contracts.features import Keys
from contracts.redis_client import queueing_client
from contracts.settings import Settings
from web.api import Api
from web.assets import Assets
from web.live.console import ConsoleFeed
from web.live.feeds import Feeds
from web.render import Templates
from web.sessions import Session, Sessions
from web.words import moment


class Site:
    """The API, the sessions, the templates, the live feeds.

    Parameters
    ----------
    settings
        Of the deployment.
    api
        In place of the real one, in tests.
    """

    def __init__(self, settings: Settings, api: Api | None = None) -> None:
        self.settings = settings
        self.api_address = settings.api_url.rstrip("/") or f"http://127.0.0.1:{settings.port}"
        self.api = api or Api(self.api_address)
        # Requests wait for a connection: when a thousand tabs come back at once after a
        # restart, none of them must fail for lack of one.
        self.redis = queueing_client(
            settings.redis_url, most=16, wait=5.0, socket_timeout=2.0, socket_connect_timeout=1.0
        )
        self.sessions = Sessions(self.redis, Keys(settings.namespace, settings.partitions))
        self.assets = Assets()
        self.templates = Templates(self.assets)
        self.feeds = Feeds(self.api, self.templates)
        self.console = ConsoleFeed(self.api, self.templates)
        self.secure = settings.web_url.startswith("https://")
        self.last_lists: dict[str, tuple[float, dict[str, object]]] = {}

    @property
    def cookie(self) -> str:
        """Name of the cookie: only https may use the prefix that browsers guard."""
        return "__Host-segue" if self.secure else "segue"

    @property
    def public_api(self) -> str:
        """The API's address as a player of this person reaches it."""
        here = f"http://127.0.0.1:{self.settings.port}"
        return self.settings.public_url.rstrip("/") or here

    def remember_list(self, key: str, answer: dict[str, object]) -> None:
        """Keep the last list of a listener, to show it while the API is away."""
        if len(self.last_lists) >= 2_000:
            self.last_lists.clear()
        self.last_lists[key] = (time.time(), answer)

    def end_streams(self) -> None:
        """End every open stream: browsers come back by themselves."""
        self.feeds.end()
        self.console.end()

    async def close(self) -> None:
        """End the streams and close the connections."""
        self.end_streams()
        await self.api.close()
        await self.redis.aclose()


def new_session(made: dict[str, object], me: dict[str, object], csrf: str) -> Session:
    """Return the session of an answer of ``POST /v1/sessions`` and one of ``GET /v1/me``."""
    expires = made["expires_at"]
    return Session(
        token=str(made["token"]),
        user=str(made["user"]),
        roles=list(made["roles"]),  # type: ignore[call-overload]
        csrf=csrf,
        expires=moment(str(expires)).timestamp() if expires else time.time() + 30 * 86_400,
        time_zone=str(me["time_zone"]),
        theme=str(me["theme"]),
    )
