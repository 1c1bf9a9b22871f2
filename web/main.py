"""The process that serves the web pages (``segue worker web``)."""

from __future__ import annotations

import asyncio
import logging
import signal
from socket import socket
from types import FrameType

import uvicorn

from contracts.forwarded import Forwarded
from contracts.log_limit import LogLimit
from contracts.settings import Settings
from web.app import create_app
from web.site import Site

#: Longest wait for requests in flight (seconds).
_GRACE_SECONDS = 3
_LOOK_SECONDS = 0.5


class _Server(uvicorn.Server):
    """Uvicorn, but a signal first ends the streams, which would never end by themselves."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self._site = site

    async def main_loop(self) -> None:
        """Wait for the end and set the header ``date``; uvicorn does it ten times a second."""
        while not await self.on_tick(0):  # noqa: ASYNC110  a signal ends it
            await asyncio.sleep(_LOOK_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order; uvicorn would raise the signal once more and end with its code."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End the streams, then stop as usual."""
        self._site.end_streams()
        await super().shutdown(sockets)


def run(settings: Settings) -> int:
    """Serve the pages until SIGTERM or SIGINT; return exit code 0, or 1 if it cannot start."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(LogLimit())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    site = Site(settings)
    config = uvicorn.Config(
        Forwarded(create_app(site), settings.trusted_proxies),
        host=settings.host,
        port=settings.web_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config, site)
    server.run()
    return 0 if server.started else 1
