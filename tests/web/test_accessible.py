"""axe's rules on every page, filled, in Debian's Chromium; no server but the pages themselves."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser

from tests.web.axe import faults
from tests.web.chromium import CHROMIUM, chromium
from tests.web.doubles import ROLES, World, full
from tests.web.test_pages import ALL
from tests.web.tour import LOOKS
from web.app import create_app

pytestmark = [
    pytest.mark.integration,  # a browser: not among the quick tests
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium"),
]
#: A name that is longer than any box, and words of usual length beside it.
NAME = "The Quite Remarkably Long Winded Orchestra of Llanfairpwllgwyngyll"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, World]]:
    """The pages on a free port, over a double of the API that answers everything."""
    world = World()
    full(world.fake, NAME)
    # In a thread: the browser's library keeps an event loop in this one.
    signing = threading.Thread(target=lambda: asyncio.run(world.sign_in(roles=ROLES)))
    signing.start()
    signing.join()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(world.site), log_level="error", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", world
        world.site.end_streams()
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.mark.parametrize("look", ["wide-light", "phone-dark"])
def test_every_page_filled(look: str, browser: Browser, served: tuple[str, World]) -> None:
    address, world = served
    width, height, scheme = LOOKS[look]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    context.add_cookies([
        {"name": name, "value": value, "url": address}
        for name, value in world.client.cookies.items()
    ])  # fmt: skip
    page, found = context.new_page(), list[str]()
    page.on("console", lambda m: found.append(f"{look}: {m.text}") if m.type == "error" else None)
    for path in ALL:
        page.goto(address + path)
        page.evaluate("document.querySelectorAll('main details').forEach((d) => (d.open = true))")
        found += [f"{look} {path}: {fault}" for fault in faults(page)]
    context.close()
    assert not found, "\n".join(found)
