"""The API process: ``run`` blocks until SIGTERM, finishes what it accepted, and returns 0."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from dataclasses import replace
from types import FrameType

import uvicorn

from api.app import create_app
from api.door import raise_limit
from api.fast import FastPath, protocol_with
from api.services import Services
from contracts.forwarded import Forwarded
from contracts.log_limit import LogLimit
from contracts.settings import Settings

log = logging.getLogger(__name__)

#: Longest wait for requests in flight (seconds); more than a delivery may take.
GRACE_SECONDS = 6
_LOOK_SECONDS = 0.25


class Server(uvicorn.Server):
    """Uvicorn, but a signal first makes the process unready, and it then ends with code 0."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def main_loop(self) -> None:
        """Wait for the end.

        uvicorn's own loop wakes ten times a second to renew the header ``date``, which the API does
        not send.
        """
        while not self.should_exit:  # noqa: ASYNC110  a signal sets it
            await asyncio.sleep(_LOOK_SECONDS)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order at the first signal, at once at the second."""
        if self._services.watcher.stopping:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
            return
        log.info("stopping (%s)", signal.Signals(sig).name)
        self._services.watcher.stopping = True
        self._services.call_later(self._services.settings.drain_seconds, self._close_door)

    def _close_door(self) -> None:
        self._services.events.end()  # streams end by themselves only here
        self.should_exit = True


def run(settings: Settings) -> int:
    """Serve HTTP until SIGTERM or SIGINT; return exit code 0, or 1 if the server cannot start."""
    for handler in logging.getLogger().handlers:  # set up by whoever started this process
        handler.addFilter(LogLimit())
    settings = replace(settings, max_connections=min(settings.max_connections, raise_limit()))
    services = Services(settings)
    config = uvicorn.Config(
        Forwarded(create_app(services), settings.trusted_proxies),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=protocol_with(FastPath(services)),
        ws="none",
        lifespan="on",
        proxy_headers=False,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=4096,
    )
    # What exists now lives for ever; the hot path makes garbage that dies young.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    server = Server(config, services)
    server.run()
    return 0 if server.started else 1
