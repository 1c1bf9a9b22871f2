"""Live feeds: one stream upstream a listener, one rendering for tabs alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.retries import Backoff
from tests.web.answers import WINDOW, listing
from tests.web.doubles import World, full
from web.live.endpoints import EventStream
from web.live.sse import Event, lines_of, read, written
from web.live.tabs import Tab, Wants

NEXT = Wants("next", "/ui")


class Upstream:
    """The API's stream of events: what is put comes out; it ends at ``None``.

    ``window`` is the state of the listener's plays when a stream begins.
    """

    def __init__(self, world: World, window: str = WINDOW) -> None:
        self.opened: list[str] = []
        self.window = window
        self._queues: list[asyncio.Queue[str | None]] = []
        world.fake.on("GET /v1/users/[^/]+/events", self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.opened.append(request.headers.get("last-event-id", ""))
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._queues.append(queue)

        async def body() -> AsyncIterator[bytes]:
            yield f"id: {self.window}\nevent: following\ndata: {{}}\n\n".encode()
            while (text := await queue.get()) is not None:
                yield text.encode()

        return httpx.Response(200, content=body(), headers={"content-type": "text/event-stream"})

    async def send(self, kind: str, **about: Any) -> None:
        """Send an event once a client listens."""
        while not self._queues:
            await asyncio.sleep(0.01)
        data = msgspec.json.encode({"user": "ada", "kind": kind, "at": 1, **about}).decode()
        self._queues[-1].put_nowait(f"id: {self.window}\nevent: {kind}\ndata: {data}\n\n")

    def end(self) -> None:
        self._queues[-1].put_nowait(None)


async def taken(tab: Tab, name: str, seconds: float = 10.0) -> Event:
    """Return the next event of a name."""
    async with asyncio.timeout(seconds):
        while True:
            for event in await tab.next(1.0):
                if event.name == name:
                    return event


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    full(made.fake)
    yield made
    made.site.feeds.end()


async def signed_in() -> bool:
    return True


def asked(world: World) -> list[dict[str, str]]:
    """Return the parameters of every list that was asked for."""
    return [
        dict(request.url.params)
        for request in world.fake.asked
        if request.url.path.endswith("/recommendations")
    ]


async def test_a_play_is_one_list_for_all_tabs_alike(world: World) -> None:
    upstream = Upstream(world)
    feeds = world.site.feeds
    alike = [feeds.open("ada", NEXT, "t", window=WINDOW) for _ in range(5)]
    other = feeds.open("ada", NEXT._replace(discover=True), "t", window=WINDOW)
    await upstream.send("play", artist="Air", title="Run", source="x")
    for tab in [*alike, other]:
        event = await taken(tab, "list")
        assert "after “Run” by Air" in event.data
        assert "csrf" not in event.data  # the same text goes to every session
    assert sorted(query["discover"] for query in asked(world)) == ["false", "true"]
    assert len(upstream.opened) == 1


async def test_an_import_is_not_a_slide_show(world: World) -> None:
    upstream = Upstream(world)
    tab = world.site.feeds.open("ada", NEXT, "t", window=WINDOW)
    for i in range(200):
        await upstream.send("play", artist="Air", title=f"Song {i}", source="x")
    await taken(tab, "list")
    await asyncio.sleep(1.2)
    assert 1 <= len(asked(world)) <= 4


async def test_a_play_between_the_page_and_its_stream_is_not_lost(world: World) -> None:
    """The list was made, a play came, then the stream began: nothing announces that play."""
    Upstream(world, window="newer")
    tab = world.site.feeds.open("ada", NEXT, "t", window="older")
    world.fake.on("GET .*/recommendations", listing("Air", window="newer"))
    await taken(tab, "list")
    # A second page of this listener, whose list was made before that play.
    other = world.site.feeds.open("ada", NEXT, "t", window="older")
    await taken(other, "list")
    assert len(asked(world)) == 2


async def test_a_list_of_the_present_window_is_not_made_again(world: World) -> None:
    upstream = Upstream(world)
    feeds = world.site.feeds
    tabs = [feeds.open("ada", NEXT, "t", window=WINDOW)]
    assert (await taken(tabs[0], "state")).data == "live"
    tabs.append(feeds.open("ada", NEXT, "t", window=WINDOW))
    assert (await taken(tabs[1], "state")).data == "live"
    feeds.open("ada", Wants("connect", "/ui"), "t", again=True)  # this page shows no list
    await asyncio.sleep(0.2)
    assert not asked(world)  # each list is an impression
    await upstream.send("play", artist="Air", title="Run", source="x")
    await taken(tabs[1], "list")
    assert len(asked(world)) == 1


async def test_a_page_is_live_only_once_no_event_can_be_missed(world: World) -> None:
    held = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        await held.wait()
        yield b"id: 1\nevent: following\ndata: {}\n\n"
        await asyncio.sleep(60)

    world.fake.on("GET .*/events", lambda _: httpx.Response(200, content=body()))
    tab = world.site.feeds.open("ada", NEXT, "t", window="1")
    assert await tab.next(0.3) == []
    held.set()
    assert (await taken(tab, "state")).data == "live"


async def test_a_list_that_cannot_be_made_is_asked_for_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.live.feeds._PAUSES", Backoff(0.01, 0.01))
    Upstream(world)
    world.fake.refuse("GET .*/recommendations", 503, "unavailable", "Too much.")
    tab = world.site.feeds.open("ada", NEXT, "t", window="older")
    async with asyncio.timeout(10):
        while (await taken(tab, "state")).data != "away":
            pass
        world.fake.on("GET .*/recommendations", listing("Air"))
        found: list[Event] = []
        while not {Event("state", "live")} < set(found):
            found += await tab.next(1.0)
    assert "list" in {event.name for event in found}


async def test_a_broken_stream_is_said_and_taken_up_where_it_was(world: World) -> None:
    upstream = Upstream(world)
    tab = world.site.feeds.open("ada", NEXT, "t", window=WINDOW)
    await upstream.send("play", artist="Air", title="Run", source="x")
    await taken(tab, "list")
    world.fake.away = True
    upstream.end()
    assert (await taken(tab, "state")).data == "away"
    world.fake.away = False
    upstream.window = "newer"
    assert (await taken(tab, "state")).data == "live"
    assert upstream.opened == ["", WINDOW]
    assert (await taken(tab, "list")).name == "list"  # what was missed is asked for


async def test_a_token_that_has_ended_ends_its_tabs(world: World) -> None:
    world.fake.refuse("GET /v1/users/[^/]+/events", 401, "unauthorized", "No.")
    tab = world.site.feeds.open("ada", NEXT, "t", window=WINDOW)
    event = await taken(tab, "signed-out")
    assert event.data.startswith("/ui/login")
    assert tab.ended


@pytest.mark.parametrize("roles", [None, [], ["analyst"]], ids=["revoked", "none", "another"])
async def test_each_token_of_a_listeners_tabs_is_asked_about(
    world: World, monkeypatch: pytest.MonkeyPatch, roles: list[str] | None
) -> None:
    """The stream upstream uses the token of one of them."""
    monkeypatch.setattr("web.live.feeds.CHECK", (0.05, 0.05))
    upstream = Upstream(world)
    feeds = world.site.feeds
    first = feeds.open("ada", NEXT, "good", window=WINDOW)
    await upstream.send("play", artist="Air", title="Run", source="x")
    await taken(first, "list")
    admin = feeds.open("ada", NEXT, "admin", window=WINDOW)
    other = feeds.open("ada", NEXT, "ended", window=WINDOW)
    known = {"Bearer admin": ("root", ["admin"]), "Bearer ended": ("ada", roles)}

    def me(request: httpx.Request) -> httpx.Response:
        user, found = known[request.headers["authorization"]]
        if found is None:
            return httpx.Response(401, json={"error": {"code": "unauthorized", "message": "No."}})
        return httpx.Response(200, json={"user": user, "roles": found})

    world.fake.on("GET /v1/me", me)
    assert (await taken(other, "signed-out")).data.startswith("/ui/login")
    assert other.ended
    await upstream.send("play", artist="Air", title="Late", source="x")
    await taken(admin, "list")
    await taken(first, "list")
    assert await other.next(0.0) == []
    assert len(upstream.opened) == 1


async def test_a_list_is_asked_for_with_a_token_that_has_not_ended(world: World) -> None:
    upstream = Upstream(world)
    feeds = world.site.feeds
    tabs = {f"Bearer {name}": feeds.open("ada", NEXT, name, window=WINDOW) for name in "ab"}
    tokens: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tokens.append(request.headers["authorization"])
        if tokens[-1] == tokens[0]:
            return httpx.Response(401, json={"error": {"code": "unauthorized", "message": "No."}})
        return httpx.Response(200, json=listing("Air"))

    world.fake.on("GET .*/recommendations", answer)
    await upstream.send("play", artist="Air", title="Run", source="x")
    async with asyncio.timeout(10):
        while len(tokens) < 2:
            await asyncio.sleep(0.01)
    ended, good = (tabs[token] for token in tokens[:2])
    assert "Run" in (await taken(good, "list")).data
    assert (await taken(ended, "signed-out")).data.startswith("/ui/login")
    assert (ended.ended, good.ended) == (True, False)


async def test_an_open_page_lets_no_session_in_whose_token_has_ended(world: World) -> None:
    upstream = Upstream(world)
    tab = world.site.feeds.open("ada", NEXT, "good", window=WINDOW)
    await upstream.send("play", artist="Air", title="Run", source="x")
    await taken(tab, "list")
    await world.sign_in("ada")
    world.fake.refuse("GET /v1/me", 401, "unauthorized", "No.")
    async with asyncio.timeout(10):
        answer = await world.client.get("/ui/live")
    assert "event: signed-out" in answer.text
    assert "Run" not in answer.text
    assert world.site.feeds.count == 1


async def test_a_session_is_looked_up_while_events_come_without_a_pause(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.live.endpoints.KEEP_ALIVE", (0.05, 0.05))
    tab = Tab(NEXT, "t")
    looks: list[int] = []
    sent: list[bytes] = []

    async def look() -> bool:
        looks.append(len(sent))
        return len(looks) < 3

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message.get("body", b""))

    async def play() -> None:
        while True:
            tab.put(Event("play", ""))
            await asyncio.sleep(0.001)

    playing = asyncio.create_task(play())
    async with asyncio.timeout(10):
        await EventStream("s", tab, tab.end, look)({}, receive, send)
    playing.cancel()
    assert len(looks) == 3
    assert Event("play", "").sent in sent[: looks[0]]
    assert sent[-2:] == [Event("signed-out", "/ui/login?ended=1").sent, b""]


async def test_a_signed_out_session_gets_no_more_of_the_console(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token may still be good: the API may have been away when the person signed out."""
    monkeypatch.setattr("web.live.endpoints.KEEP_ALIVE", (0.3, 0.3))
    await world.sign_in("root", ["admin"])

    async def sign_out() -> None:
        while not world.site.console.tabs:
            await asyncio.sleep(0.01)
        world.redis.values.clear()

    async with asyncio.timeout(10):
        answer, _ = await asyncio.gather(world.client.get("/ui/ops/live"), sign_out())
    assert "event: signed-out" in answer.text
    assert not world.site.console.tabs


async def test_the_address_of_each_tab_goes_with_its_token(world: World) -> None:
    upstream = Upstream(world)
    tab = world.site.feeds.open("ada", NEXT, "t", window=WINDOW, origin="203.0.113.7")
    await upstream.send("play", artist="Air", title="Run", source="x")
    await taken(tab, "list")
    assert {r.headers.get("x-forwarded-for") for r in world.fake.asked} == {"203.0.113.7"}


async def test_plays_and_refusals_reach_who_connects_a_player(world: World) -> None:
    upstream = Upstream(world)
    tab = world.site.feeds.open("ada", Wants("connect", "/ui"), "t")
    await upstream.send("play", artist="Air", title="<b>Run\u2028\x85x", source="navidrome/0.53")
    assert "&lt;b&gt;Run\u2028\x85x" in (await taken(tab, "arrived")).data
    await upstream.send("refused", detail="played_at is before 2002", source="http:/v1/plays")
    assert "played_at is before 2002" in (await taken(tab, "arrived")).data
    assert not asked(world)  # no list was made: nobody would have seen it


async def test_nobody_watches_nothing_is_asked(world: World) -> None:
    upstream = Upstream(world)
    feeds = world.site.feeds
    tab = feeds.open("ada", NEXT, "t", window=WINDOW)
    await upstream.send("play", artist="Air", title="Run", source="x")
    await taken(tab, "list")
    before = len(asked(world))
    feeds.close("ada", tab)
    await upstream.send("play", artist="Air", title="Run", source="x")
    await asyncio.sleep(0.3)
    assert len(asked(world)) == before
    assert feeds.count == 0


_LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40)


@given(st.lists(_LINES, min_size=1, max_size=5), st.integers(1, 7))
def test_events_are_read_as_they_were_written(lines: list[str], size: int) -> None:
    text = "\n".join(lines)
    event = Event("list", text, "7")

    async def back() -> list[Event]:
        async def sent() -> AsyncIterator[str]:
            whole = ": a comment\n\n" + written(event)
            for at in range(0, len(whole), size):
                yield whole[at : at + size]

        return [found async for found in read(lines_of(sent()))]

    assert asyncio.run(back()) == [event]


async def test_a_stream_copies_nothing_and_ends_with_the_browser(world: World) -> None:
    feeds = world.site.feeds
    tabs = [feeds.open("ada", NEXT, "t", window=WINDOW) for _ in range(2)]
    sent: list[list[bytes]] = [[], []]
    leaving = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def stream(number: int) -> None:
        async def send(message: Any) -> None:
            sent[number].append(message.get("body", b""))

        tab = tabs[number]
        response = EventStream("s", tab, lambda: feeds.close("ada", tab), signed_in)
        await response({}, receive, send)

    running = [asyncio.create_task(stream(number)) for number in range(2)]
    event = Event("list", "x" * 20_000)
    for tab in tabs:
        tab.put(event)
    async with asyncio.timeout(10):
        while not all(event.sent in pieces for pieces in sent):
            await asyncio.sleep(0.01)
        assert any(piece is event.sent for piece in sent[0])  # the same bytes, not equal ones
        assert any(piece is event.sent for piece in sent[1])
        leaving.set()
        await asyncio.gather(*running)
    assert feeds.count == 0


async def test_one_bad_message_and_one_bad_list_end_no_feed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.live.feeds._PAUSES", Backoff(0.01, 0.01))
    shapes: list[dict[str, Any]] = [{"unlike": "a list"}, listing("Air")]
    world.fake.on(
        "GET .*/recommendations",
        lambda _: httpx.Response(200, json=shapes.pop(0) if len(shapes) > 1 else shapes[0]),
    )
    upstream = Upstream(world)
    tab = world.site.feeds.open("ada", NEXT, "token", window=WINDOW)
    while not upstream._queues:
        await asyncio.sleep(0.01)
    upstream._queues[-1].put_nowait(f"id: {WINDOW}\nevent: play\ndata: {{no json\n\n")
    await upstream.send("play", artist="Air", title="Sexy Boy")
    assert (await taken(tab, "list")).data
    assert len(upstream.opened) == 1
