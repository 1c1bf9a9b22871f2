"""Writes a picture of every page: ``python -m tests.web.screenshots FOLDER``.

The pages are those of a running stack, which ``--home`` names (default ``.segue``); start one with
``segue up --simulate 5``. ``--states`` needs no stack: it draws the states that one is hardly ever
in (empty, degraded, stale, away, forbidden), from the answers of the tests.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from playwright.sync_api import Browser, Page

from contracts.settings import Settings
from infra.stack.home import Home
from infra.stack.links import sign_in_links
from infra.stack.ports import api_address
from tests.web.chromium import chromium, follow_link
from tests.web.doubles import ROLES, World, full
from tests.web.served import give_session, served
from tests.web.test_states import TABLE, State, set_up
from tests.web.tour import ADMIN, ANALYST, LISTENER, LOOKS


def main() -> None:
    """Sign in as everybody who has a link, and look at everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path, default=Path(".segue"))
    parser.add_argument("--look", choices=LOOKS, action="append", help="Default: all of them.")
    parser.add_argument("--states", action="store_true", help="Of every page, without a stack.")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for look in given.look or LOOKS:
            if given.states:
                draw_states(browser, look, given.folder)
            else:
                draw_stack(browser, look, given.folder, given.home)


def draw_stack(browser: Browser, look: str, folder: Path, home: Path) -> None:
    """Draw the pages of a running stack, each as the account with the fewest roles."""
    settings = Settings.from_env(Home(home).read_run().environ)
    address = api_address(settings.host, settings.web_port)
    links = sign_in_links(settings, address, simulated=True)
    seen = set[str]()
    for user, pages in zip(links, (LISTENER, ANALYST, ADMIN), strict=True):
        page = opened(browser, look)
        follow_link(page, links[user])
        for path in (*pages, *more(page, address, pages)):
            if path not in seen:
                seen.add(path)
                page.goto(address + path)
                draw(page, folder, path, look)
        page.context.close()


def draw_states(browser: Browser, look: str, folder: Path) -> None:
    """Draw every state of every page, and once what all pages share."""
    for path, states in TABLE.items():
        for name, state in zip(("empty", "degraded", "stale"), states, strict=True):
            if isinstance(state, State):
                draw_state(browser, look, folder, path, name, state)
    nothing = State("")
    draw_state(browser, look, folder, "/ui/", "away", nothing, away=True)
    draw_state(browser, look, folder, "/ui/ops", "forbidden", nothing, roles=["listener"])
    draw_state(browser, look, folder, "/ui/login", "signed out", nothing, roles=[])


def draw_state(
    browser: Browser,
    look: str,
    folder: Path,
    path: str,
    name: str,
    state: State,
    *,
    away: bool = False,
    roles: list[str] = ROLES,
) -> None:
    """Draw one state of one page."""
    world = World()
    full(world.fake)
    set_up(world.fake, state)
    world.fake.away = away
    with served(world, roles) as address:
        page = opened(browser, look)
        if roles:
            give_session(page.context, address, world)
        page.goto(address + path)
        draw(page, folder, f"{path} {name}", look)
        page.context.close()


def opened(browser: Browser, look: str) -> Page:
    """Return a page of a fresh profile."""
    width, height, scheme = LOOKS[look]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    return context.new_page()


def draw(page: Page, folder: Path, path: str, look: str) -> None:
    """Write the picture of a page that is open."""
    page.wait_for_timeout(400)
    name = re.sub(r"\W+", "-", path.removeprefix("/ui")).strip("-") or "next"
    file = folder / f"{name[:70]}-{look}.png"
    page.screenshot(path=file, full_page=True)
    print(file)


def more(page: Page, address: str, pages: tuple[str, ...]) -> list[str]:
    """Return pages that are found by following links: a track, an artist, a play, a report."""
    found = []
    starts = {
        "/ui/": ("/ui/tracks/", "/ui/artists/"),
        "/ui/plays": ("/ui/plays/", "/ui/albums?"),
        "/ui/me/imports": ("/ui/me/imports/",),
        "/ui/analytics/lineage": ("/ui/analytics/lineage/",),
        "/ui/analytics": ("/ui/analytics/listening-activity", "/ui/analytics/top-artists"),
        "/ui/analytics/experiments": ("/ui/analytics/experiments/",),
        "/ui/ops/runs": ("/ui/ops/runs/",),
        "/ui/ops/lake": ("/ui/ops/lake/",),
        "/ui/ops/dead-letters?all=on": ("/ui/ops/dead-letters/",),
    }
    for start in starts.keys() & set(pages):
        page.goto(address + start)
        for prefix in starts[start]:
            links = page.locator(f'main a[href^="{prefix}"]')
            if links.count():
                found.append(str(links.first.get_attribute("href")))
    return found


if __name__ == "__main__":
    main()
