"""The pages on a free port, over doubles of the API and of Redis, for a browser."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from playwright.sync_api import BrowserContext

from tests.web.doubles import World
from web.app import create_app


@contextmanager
def served(world: World, roles: list[str]) -> Iterator[str]:
    """Serve the pages with a session of these roles; yields their address."""
    # In a thread: the browser's library keeps an event loop in this one.
    signing = threading.Thread(target=lambda: asyncio.run(world.sign_in(roles=roles)))
    signing.start()
    signing.join()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # a browser that comes before the server runs waits, and is not refused
        config = uvicorn.Config(create_app(world.site), log_level="error", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            world.site.end_streams()
            server.should_exit = True
            thread.join(30)
        assert not thread.is_alive()


def give_session(context: BrowserContext, address: str, world: World) -> None:
    """Have a browser carry the session."""
    context.add_cookies([
        {"name": name, "value": value, "url": address}
        for name, value in world.client.cookies.items()
    ])  # fmt: skip
