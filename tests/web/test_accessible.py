"""axe's rules on every page, filled, in Debian's Chromium; no server but the pages themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.web.axe import faults
from tests.web.chromium import CHROMIUM, chromium
from tests.web.doubles import ROLES, World, full
from tests.web.served import give_session, served
from tests.web.test_pages import ALL
from tests.web.tour import LOOKS

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
def pages() -> Iterator[tuple[str, World]]:
    """The pages over a double of the API that answers everything."""
    world = World()
    full(world.fake, NAME)
    with served(world, ROLES) as address:
        yield address, world


@pytest.mark.parametrize("look", ["wide-light", "phone-dark"])
def test_every_page_filled(look: str, browser: Browser, pages: tuple[str, World]) -> None:
    address, world = pages
    width, height, scheme = LOOKS[look]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    give_session(context, address, world)
    page, found = context.new_page(), list[str]()
    page.on("console", lambda m: found.append(f"{look}: {m.text}") if m.type == "error" else None)
    for path in ALL:
        page.goto(address + path)
        page.evaluate("document.querySelectorAll('main details').forEach((d) => (d.open = true))")
        found += [f"{look} {path}: {fault}" for fault in faults(page)]
    context.close()
    assert not found, "\n".join(found)
