"""The pages in Debian's Chromium, against the whole stack."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack
from tests.web.axe import faults
from tests.web.chromium import CHROMIUM, chromium
from tests.web.doubles import HOSTILE
from tests.web.tour import ADMIN, LISTENER, LOOKS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium"),
]
PATIENCE = 30_000
#: Of the HTML of a page, compressed.
MOST_BYTES = 20_000
expect.set_options(timeout=PATIENCE)


@dataclass
class Pages:
    """The running pages, a browser, and what must not happen in it."""

    stack: RunningStack
    browser: Browser
    problems: list[str] = field(default_factory=list)

    def context(self, **options: Any) -> BrowserContext:
        """Return a fresh profile; every complaint of its pages is a problem."""
        context = self.browser.new_context(base_url=self.stack.web, **options)
        context.set_default_timeout(PATIENCE)
        context.on("console", self.complain)
        context.on("weberror", lambda error: self.problems.append(str(error.error)))
        context.on("request", lambda r: self.check(r.url, self.stack.web))
        return context

    def complain(self, message: ConsoleMessage) -> None:
        """Note an error of the console."""
        if message.type == "error":
            self.problems.append(message.text)

    def check(self, url: str, own: str) -> None:
        """Note a request to any other address than a page's own."""
        if not url.startswith((own, "data:", "about:")):
            self.problems.append(f"a request to {url}")

    def start_web(self) -> None:
        """Start the worker and wait until it answers."""
        self.stack.start_worker("web")

        def up() -> bool:
            try:
                return httpx.get(f"{self.stack.web}/healthz", timeout=2).status_code == 200
            except httpx.TransportError:
                return False

        assert wait_until(up, 90, 0.1)

    def play(self, token: str, title: str, artist: str = "Air") -> None:
        """Post a play that begins now."""
        play = {"artist": artist, "title": title, "played_at": int(time.time() * 1000)}
        answer = httpx.post(
            f"{self.stack.api}/v1/plays",
            headers={"authorization": f"Bearer {token}"},
            json={"plays": [play]},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text


@pytest.fixture(scope="module")
def pages(stack: RunningStack) -> Iterator[Pages]:
    with chromium() as browser:
        found = Pages(stack, browser)
        found.start_web()
        yield found
        stack.stop("web")


@pytest.fixture(autouse=True)
def nothing_to_complain_of(pages: Pages) -> None:
    """Each test begins with an empty console."""
    pages.problems.clear()


@pytest.fixture(scope="module")
def token(pages: Pages) -> str:
    """A listener with an evening's history, and names that try to break out of the page."""
    stack = pages.stack
    made = stack.token_for("nora")
    now = int(time.time() * 1000) - 7_200_000
    plays = [
        {"artist": f"Artist {i % 7}", "title": f"Song {i % 25}", "played_at": now + 60_000 * i}
        for i in range(75)
    ]
    plays += [
        {"artist": HOSTILE, "title": "x" * 1000, "played_at": now - 60_000 * i} for i in range(1, 6)
    ]
    answer = httpx.post(
        f"{stack.api}/v1/plays",
        headers={"authorization": f"Bearer {made}"},
        json={"plays": plays},
        timeout=60,
    )
    assert answer.json()["accepted"] == 80
    stack.wait_applied(90)
    return made


def sign_in(page: Page, token: str) -> None:
    """Sign in as a person does, with a token."""
    page.goto("/ui/")
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in with the token").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What next")


def live(page: Page) -> None:
    """Wait until the page is live, with the pointer away from the list."""
    page.mouse.move(1, 1)
    expect(page.locator("[data-live-state]")).to_have_text("live")


def fill_a_play_by_hand(page: Page, artist: str, title: str) -> None:
    """Open the form for a play on the history page and fill it in."""
    page.goto("/ui/plays")
    page.locator("summary", has_text="Add a play by hand").click()
    page.get_by_label("Artist", exact=True).fill(artist)
    page.get_by_label("Title", exact=True).fill(title)


def keys(page: Page, also: str = "") -> set[str]:
    """Return the tracks that the list shows."""
    script = "all => all.map((li) => li.dataset.key)"
    found: list[str] = page.locator(f"[data-key]{also}").evaluate_all(script)
    return set(found)


def test_a_play_changes_the_list(pages: Pages, token: str) -> None:
    page = pages.context().new_page()
    sign_in(page, token)
    live(page)
    stayed: set[str] = set()
    came: set[str] = set()
    for number in (3, 4, 5, 6):  # one play may change no track of the list, or all of them
        page.evaluate("document.querySelectorAll('[data-key]').forEach(li => li.dataset.kept = 1)")
        before = keys(page)
        pages.play(token, f"Song {number}", f"Artist {number}")
        expect(page.locator("[data-head]")).to_contain_text(f"after “Song {number}” by")
        now = keys(page)
        assert keys(page, ".new") == now - before
        assert keys(page, "[data-kept]") == now & before  # what stays keeps its element
        expect(page.locator(".last")).to_contain_text(f"Song {number}")
        stayed |= now & before
        came |= now - before
        if stayed and came:
            break
    assert stayed
    assert came
    page.context.close()
    assert not pages.problems


def test_focus_and_open_reasons_survive(pages: Pages, token: str) -> None:
    page = pages.context().new_page()
    sign_in(page, token)
    live(page)
    why = page.locator("[data-key] .why summary").first
    why.click()
    expect(page.locator(".why[open] .reasons").first).to_contain_text("score")
    why.focus()
    before = page.locator("[data-head]").inner_text()
    pages.play(token, "Song 9", "Artist 2")
    # The reader points at the list: it waits, and shows that it does.
    expect(page.get_by_role("button", name="Your list has changed")).to_be_visible()
    assert page.locator("[data-head]").inner_text() == before
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    expect(page.locator(".why[open] .reasons").first).to_be_visible()
    page.get_by_role("button", name="Your list has changed").click()
    expect(page.locator("[data-head]")).to_contain_text("after “Song 9”")
    page.get_by_role("button", name="Pause updates").click()
    expect(page.locator("[data-live-state]")).to_have_text("paused")
    pages.play(token, "Song 10", "Artist 3")
    page.wait_for_timeout(1500)
    expect(page.locator("[data-head]")).not_to_contain_text("Song 10")
    page.get_by_role("button", name="Resume updates").click()
    live(page)
    expect(page.locator("[data-head]")).to_contain_text("model")
    page.context.close()
    assert not pages.problems


def test_love_hide_and_take_back(pages: Pages, token: str) -> None:
    page = pages.context().new_page()
    sign_in(page, token)
    live(page)
    # The message shortens the title of 1,000 characters.
    row = page.locator("[data-key]").filter(has_not_text="xxx").first
    title, key = row.locator("h2 a").inner_text(), row.get_attribute("data-key")
    row.get_by_role("button", name="Hide").click()
    expect(page.locator("#said")).to_contain_text(f"Hidden: “{title}”")
    page.mouse.move(1, 1)
    page.locator("main").focus()
    # By its key: another artist's track of that title may be listed.
    expect(page.locator(f'[data-key="{key}"]')).to_have_count(0)

    def listed() -> bool:
        page.goto("/ui/taste?kind=hide")
        return page.get_by_text(title, exact=True).count() > 0

    assert wait_until(listed, 90, 0.5)
    page.get_by_role("button", name=f"Take back {title}").first.click()
    expect(page.locator("#said")).to_contain_text("Taken back")
    page.context.close()
    assert not pages.problems


def test_a_double_click_sends_once(pages: Pages, token: str) -> None:
    page = pages.context().new_page()
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.url) if each.method == "POST" else None)
    sign_in(page, token)
    live(page)
    del sent[:]
    love = page.locator("[data-key]").first.get_by_role("button", name="Love")
    love.dblclick()
    expect(page.locator("#said")).to_contain_text("Loved")
    page.wait_for_timeout(800)  # longer than a double click
    assert len(sent) == 1
    love.click()  # on purpose
    page.wait_for_timeout(300)
    assert len(sent) == 2
    fill_a_play_by_hand(page, "Twice", "Clicked")
    page.get_by_role("button", name="Add the play").dblclick()
    expect(page.locator("#said")).to_contain_text("Added: “Clicked” by Twice")
    assert len(sent) == 3
    page.context.close()
    assert not pages.problems


def test_too_large_a_file_is_refused_before_it_is_sent(
    pages: Pages, token: str, tmp_path: Path
) -> None:
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(257 * 1024 * 1024)  # without blocks on the disk
    page = pages.context().new_page()
    sign_in(page, token)
    sent: list[str] = []
    page.on("request", lambda each: sent.append(each.url) if each.method == "POST" else None)
    page.goto("/ui/me/imports")
    field = page.locator("[data-most]")
    field.set_input_files(large)
    page.get_by_role("button", name="Upload and import").click()
    assert "256 MB" in field.evaluate("field => field.validationMessage")
    assert sent == []
    page.context.close()
    assert not pages.problems


def test_by_keyboard_alone(pages: Pages, token: str) -> None:
    page = pages.context().new_page()
    sign_in(page, token)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("j")
    first = page.locator("[data-key] h2 a").first
    expect(first).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("[data-key] h2 a").nth(1)).to_be_focused()
    page.keyboard.press("l")
    expect(page.locator("#said")).to_contain_text("Loved")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", level=1)).to_have_text("Keyboard")
    page.get_by_role("button", name="Switch them off").click()
    page.keyboard.press("/")
    page.wait_for_timeout(300)
    assert page.url.endswith("/ui/keys")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("What next")
    page.context.close()
    assert not pages.problems


def test_without_javascript(pages: Pages, token: str) -> None:
    page = pages.context(java_script_enabled=False).new_page()
    sign_in(page, token)
    page.locator("[data-key]").first.get_by_role("button", name="Love").click()
    expect(page.locator("#said")).to_contain_text("Loved")
    page.locator(".why summary").first.click()
    page.get_by_role("link", name="Show the reasons").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why this track")
    fill_a_play_by_hand(page, "Air", "By Hand")
    page.get_by_role("button", name="Add the play").click()
    expect(page.locator("#said")).to_contain_text("Added: “By Hand” by Air")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.context.close()


def test_a_player_is_connected(pages: Pages, token: str) -> None:
    page = pages.context().new_page()
    sign_in(page, token)
    page.goto("/ui/connect")
    page.get_by_label("Which player is it?").fill("kitchen")
    page.get_by_role("button", name="Make a token").click()
    made = page.locator("[data-copied]").inner_text()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    listen = {
        "listen_type": "single",
        "payload": [{
            "listened_at": int(time.time()),
            "track_metadata": {
                "artist_name": "Air", "track_name": "Kelly",
                "additional_info": {"submission_client": "navidrome"},
            },
        }],
    }  # fmt: skip
    headers = {"authorization": f"Token {made}"}
    url = f"{pages.stack.api}/1/submit-listens"
    assert httpx.post(url, headers=headers, json=listen, timeout=60).status_code == 200
    expect(page.locator(".arrivals .ok")).to_contain_text("Kelly by Air from navidrome")
    bad = httpx.post(
        f"{pages.stack.api}/v1/plays", headers=headers, timeout=60,
        json={"plays": [{"artist": "Air", "title": "Kelly", "played_at": 12}]},
    )  # fmt: skip
    assert bad.status_code == 400
    expect(page.locator(".arrivals .refused")).to_contain_text("before 2002-10-01")
    page.context.close()
    assert not pages.problems


def test_restarts_and_an_ended_session(pages: Pages, token: str) -> None:
    stack = pages.stack
    session_token = stack.token_for("nora")
    page = pages.context().new_page()
    sign_in(page, session_token)
    live(page)
    stack.kill("web")
    expect(page.locator("[data-live-state]")).to_contain_text("not live")
    pages.start_web()
    live(page)
    pages.play(token, "Song 4", "Artist 4")
    expect(page.locator("[data-head]")).to_contain_text("Song 4")
    stack.stop("api")
    expect(page.locator("[data-live-state]")).to_contain_text("not live")
    away = page.request.get(f"{stack.web}/ui/taste")
    assert away.status == 503
    stack.start("api")
    stack.wait_ready()
    live(page)
    own = {"authorization": f"Bearer {session_token}"}
    me = httpx.get(f"{stack.api}/v1/me", headers=own, timeout=60).json()
    httpx.delete(f"{stack.api}/v1/me/tokens/{me['token_id']}", headers=own, timeout=60)

    def ended() -> bool:
        page.goto("/ui/taste")
        return "ended=1" in page.url

    assert wait_until(ended, 90, 0.5)
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    page.context.close()


def test_swagger_ui_calls_the_api(pages: Pages) -> None:
    """/docs/try draws the API from its own files and sends a request."""
    api = pages.stack.api
    context = pages.browser.new_context(base_url=api)
    context.set_default_timeout(PATIENCE)
    context.on("console", pages.complain)
    context.on("request", lambda request: pages.check(request.url, api))
    page = context.new_page()
    page.goto("/docs/try")
    page.locator(".opblock-tag", has_text="operation").first.click()
    operation = page.locator(".opblock", has=page.get_by_text("/healthz", exact=True)).first
    operation.locator(".opblock-summary").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response").first
    expect(answer).to_contain_text("200")
    expect(answer).to_contain_text('"status": "ok"')
    context.close()
    assert pages.problems == []


@pytest.fixture(scope="module")
def uploaded(pages: Pages, token: str) -> str:
    """The page of an import that refused a record."""
    stack = pages.stack
    stack.start_worker("importer")
    headers = {"authorization": f"Bearer {token}"}
    rows = ["artist,title,album,played_at"]
    rows += [f"Air,Upload {i},Moon Safari,2026-01-0{i}T20:00:00Z" for i in (1, 2)]
    rows.append("Air,Upload 3,Moon Safari,soon")
    path = f"{stack.api}/v1/users/nora/imports"
    made = httpx.post(
        path, params={"name": "plays.csv"}, headers=headers, timeout=60, content="\n".join(rows)
    ).json()  # fmt: skip

    def over() -> bool:
        found = httpx.get(f"{path}/{made['id']}", headers=headers, timeout=60).json()
        return found["state"] in ("done", "failed")

    try:
        assert wait_until(over, 120, 0.2)
    finally:
        stack.stop("importer")
    return f"/ui/me/imports/{made['id']}"


def test_every_page_is_accessible_and_fits(pages: Pages, token: str, uploaded: str) -> None:
    """No violation of axe's rules, no scrolling sideways, nothing in the console.

    `tests/web/test_accessible.py` does the same for every page, filled, in two more looks.
    """
    found: list[str] = []
    width, height, scheme = LOOKS["phone-light"]
    for who, paths in ((token, LISTENER), (pages.stack.admin_token, ADMIN)):
        context = pages.context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        sign_in(page, who)
        address = page.locator("[data-key] h2 a").first.get_attribute("href")
        play = f"/ui/as/nora{address.removeprefix('/ui')}" if address else "/ui/"
        for path in (*paths, address or "/ui/", play if who != token else uploaded):
            page.goto(path)
            if path == "/ui/":
                page.locator(".why summary").first.click()
                page.locator(".reasons").first.wait_for()
            found += [f"{path}: {fault}" for fault in faults(page)]
            if (size := len(gzip.compress(page.content().encode()))) > MOST_BYTES:
                found.append(f"{path}: {size} bytes compressed")
        context.close()
    assert not found, "\n".join(found)
    assert not [p for p in pages.problems if "404" not in p]
