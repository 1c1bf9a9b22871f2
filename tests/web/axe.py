"""What is wrong with the page that a browser shows: axe's rules, and whether it fits."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def faults(page: Page) -> list[str]:
    """Return the rules that the page violates, and how much wider than the window it is."""
    found = []
    for violation in Axe().run(page).response["violations"]:
        where = violation["nodes"][0]["html"][:200]
        found.append(f"{violation['id']} {violation['help']}: {where}")
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    if wide > 0:
        found.append(f"{wide} px too wide")
    return found
