"""What a person sees: from a play to the changed list in Chromium, and how soon a phone shows it.

Times in the page come from its own clock, which is that of this machine. The floor of the phone is
``/healthz``: two bytes over the same network.
"""

from __future__ import annotations

import time
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page

from infra.stack.process import wait_until
from infra.stack.stack import Stack
from tests.benchmarks.figures import latency, machine
from tests.benchmarks.stack import answers, whole
from tests.web.chromium import chromium

#: Between two plays (seconds): lists of one listener are made no more often than twice a second.
_PAUSE = 0.8
#: "Slow 4G": round trip in ms, bytes a second down and up, and how much slower the processor is.
_ROUND_TRIP, _DOWN, _UP, _SLOWER = 150, 1.6e6 / 8, 750e3 / 8, 4
_WATCH = """() => {
    window.heads = [];
    const list = document.querySelector('[data-on=list]');
    new MutationObserver(() => window.heads.push([
        performance.timeOrigin + performance.now(), list.querySelector('[data-head]').innerText,
    ])).observe(list, {childList: true, subtree: true});
}"""
_PAINTED = """() => new Promise((resolve) => {
    let last = 0;
    new PerformanceObserver((found) => {
        for (const each of found.getEntries()) last = each.startTime;
    }).observe({type: 'largest-contentful-paint', buffered: true});
    setTimeout(() => resolve(last), 500);
})"""


def run(*, plays: int = 100, visits: int = 10) -> dict[str, Any]:
    """From a play to the changed list in a browser, and the first visit of an emulated phone.

    Parameters
    ----------
    plays
        Posted one after the other.
    visits
        Of the phone, each with an empty cache.
    """
    with whole(rate_per_address=1_000_000, rate_per_token=1_000_000) as stack:
        stack.start_worker("web")
        assert wait_until(lambda: answers(f"{stack.web}/healthz"), 60), "the pages do not answer"
        with httpx.Client(
            base_url=stack.api, timeout=30,
            headers={"authorization": f"Bearer {stack.settings.admin_token}"},
        ) as api, chromium() as browser:  # fmt: skip
            _post(api, [f"Song {i % 40}" for i in range(200)])
            stack.wait_ready()
            context = browser.new_context(base_url=stack.web)
            page = context.new_page()
            _sign_in(page, stack)
            changed = _play(api, page, plays)
            cookies = context.cookies()
            context.close()
            phones = [_visit(browser, stack, cookies, "/ui/") for _ in range(visits)]
            floor = [_visit(browser, stack, cookies, "/healthz") for _ in range(visits)]
        return {
            "play_to_dom_ms": latency(changed),
            "plays_not_seen": plays - len(changed),
            "phone_paint_ms": latency([each["paint"] for each in phones]),
            "phone_paint_floor_ms": latency([each["paint"] for each in floor]),
            "requests_of_a_first_visit": max(each["requests"] for each in phones),
            "bytes_of_a_first_visit": max(each["bytes"] for each in phones),
            "machine": machine(),
        }


def _post(api: httpx.Client, titles: list[str]) -> None:
    now = int(time.time() * 1000) - 300_000 * (len(titles) - 1)
    plays = [
        {"artist": f"Artist {i % 7}", "title": title, "played_at": now + 300_000 * i}
        for i, title in enumerate(titles)
    ]
    api.post("/v1/plays", json={"plays": plays}).raise_for_status()


def _sign_in(page: Page, stack: Stack) -> None:
    page.goto("/ui/")
    page.get_by_label("API token").fill(stack.settings.admin_token)
    page.get_by_role("button", name="Sign in with the token").click()
    page.mouse.move(1, 1)
    page.locator("[data-live-state]", has_text="live").wait_for()


def _play(api: httpx.Client, page: Page, plays: int) -> list[float]:
    """Post plays and return how long each took to be named above the list (s)."""
    page.evaluate(_WATCH)
    posted = {}
    for number in range(plays):
        title = f"Seen {number}."
        posted[title] = time.time()
        _post(api, [title])
        page.wait_for_timeout(1000 * _PAUSE)
    heads: list[tuple[float, str]] = page.evaluate("window.heads")
    found = []
    for title, at in posted.items():
        seen = [moment for moment, text in heads if f"“{title}”" in text]
        if seen:
            found.append(min(seen) / 1000 - at)
    return found


def _visit(browser: Browser, stack: Stack, cookies: Any, path: str) -> dict[str, float]:
    """Open a page as a phone with an empty cache does."""
    context: BrowserContext = browser.new_context(
        base_url=stack.web, viewport={"width": 390, "height": 844}, is_mobile=True
    )
    context.add_cookies(cookies)
    page = context.new_page()
    protocol = context.new_cdp_session(page)
    protocol.send("Network.enable")
    protocol.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False, "latency": _ROUND_TRIP,
            "downloadThroughput": _DOWN, "uploadThroughput": _UP,
        },
    )  # fmt: skip
    protocol.send("Emulation.setCPUThrottlingRate", {"rate": _SLOWER})
    sizes: list[float] = []
    protocol.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(path, wait_until="load")
    painted = float(page.evaluate(_PAINTED))
    context.close()
    return {"paint": painted / 1000, "requests": len(sizes), "bytes": sum(sizes)}
