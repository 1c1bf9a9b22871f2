"""Writes a picture of every page of a running stack: ``python -m tests.web.screenshots FOLDER``.

``--home`` names the stack (default ``.segue``); start one with ``segue up --simulate 5``.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from playwright.sync_api import Page

from contracts.settings import Settings
from infra.stack.home import Home
from infra.stack.links import sign_in_links
from infra.stack.ports import api_address
from tests.web.chromium import chromium, follow_link
from tests.web.tour import ADMIN, LISTENER, LOOKS


def main() -> None:
    """Sign in as a simulated listener and as the administrator, and look at everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--home", type=Path, default=Path(".segue"))
    parser.add_argument("--look", choices=LOOKS, action="append", help="Default: all of them.")
    given = parser.parse_args()
    settings = Settings.from_env(Home(given.home).read_run().environ)
    address = api_address(settings.host, settings.web_port)
    given.folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for look in given.look or LOOKS:
            width, height, scheme = LOOKS[look]
            links = sign_in_links(settings, address, simulated=True)
            for user, pages in zip(links, (LISTENER, ADMIN), strict=True):
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                page = context.new_page()
                follow_link(page, links[user])
                for path in (*pages, *more(page, address, pages)):
                    page.goto(address + path)
                    page.wait_for_timeout(400)
                    name = re.sub(r"\W+", "-", path.removeprefix("/ui")).strip("-") or "next"
                    file = given.folder / f"{name[:60]}-{look}.png"
                    page.screenshot(path=file, full_page=True)
                    print(file)
                context.close()


def more(page: Page, address: str, pages: tuple[str, ...]) -> list[str]:
    """Return pages that are found by following links: a track, an artist, a play, a report."""
    found = []
    starts = {
        "/ui/": ("/ui/tracks/", "/ui/artists/"),
        "/ui/plays": ("/ui/plays/", "/ui/albums?"),
        "/ui/me/imports": ("/ui/me/imports/",),
    }
    if "/ui/ops" in pages:
        starts = {
            "/ui/analytics/lineage": ("/ui/analytics/lineage/",),
            "/ui/analytics": ("/ui/analytics/listening-activity", "/ui/analytics/top-artists"),
            "/ui/analytics/experiments": ("/ui/analytics/experiments/",),
            "/ui/ops/runs": ("/ui/ops/runs/",),
            "/ui/ops/lake": ("/ui/ops/lake/",),
            "/ui/ops/dead-letters?all=on": ("/ui/ops/dead-letters/",),
        }
    for start, prefixes in starts.items():
        page.goto(address + start)
        for prefix in prefixes:
            links = page.locator(f'main a[href^="{prefix}"]')
            if links.count():
                found.append(str(links.first.get_attribute("href")))
    return found


if __name__ == "__main__":
    main()
