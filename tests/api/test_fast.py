"""The fast path over a real server and real sockets: the same bytes as the way around it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import replace

import pytest
import uvicorn
import uvloop
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api import door
from api.fast import MAX_HEAD, FastPath, FastProtocol, protocol_with
from contracts.events import decode_submission
from infra.stack.ports import free_ports
from tests.api.conftest import World

LISTS = "/v1/users/ada/recommendations?limit=3"
#: The same, in a spelling the fast path leaves alone.
AROUND = "/v1/users/%61da/recommendations?limit=3"
_ID = re.compile(rb'"impression_id":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"')


class Connection:
    """One connection, spoken to byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, target: str, more: str = "", version: str = "1.1", body: str = "") -> None:
        self.writer.write(
            f"GET {target} HTTP/{version}\r\nhost: segue\r\n{more}\r\n{body}".encode()
        )

    async def answer(self) -> tuple[bytes, bytes]:
        """Return head and body of the next answer."""
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            size = int(re.findall(rb"content-length: (\d+)", head)[0])
            return head, await self.reader.readexactly(size)

    async def ended(self) -> bool:
        async with asyncio.timeout(10):
            return await self.reader.read() == b""


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """Run the application as :mod:`api.main` does, without opening its services."""
    port = free_ports(1)[0]
    config = uvicorn.Config(
        world.app,
        port=port,
        loop="none",
        http=protocol_with(FastPath(world.services)),
        lifespan="off",
        log_config=None,
        server_header=False,
        date_header=False,
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    running = asyncio.ensure_future(server.serve())
    while not (server.started or running.done()):
        await asyncio.sleep(0.01)
    try:
        yield server, port
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


ADA = "authorization: Token ada-token\r\n"
PLAYER = "authorization: Token player-token\r\n"


def plain(answer: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return an answer without what no two answers share."""
    head, body = answer
    head = re.sub(rb"(remaining|reset|reset-in): \d+", rb"\1", head)
    return head, _ID.sub(b"", body)


async def test_both_ways_answer_the_same_bytes(world: World) -> None:
    async with serving(world) as (_, port), connection(port) as c:
        for more in (ADA, ADA + "connection: close\r\n"):
            c.send(AROUND, ADA)
            around = await c.answer()
            c.send(LISTS, more)
            fast = await c.answer()
            assert _ID.search(fast[1])
            if "close" not in more:
                assert plain(fast) == plain(around)
        assert plain(fast)[0] == plain(around)[0][:-2] + b"connection: close\r\n\r\n"
        assert await c.ended()


@pytest.mark.parametrize(
    ("name", "around", "query"),
    [
        ("bob", "%62ob", ""),
        ("ada", "%61da", "?limit=0"),
        ("ada", "%61da", "?explain=perhaps"),
        ("n" * 257, "%6e" * 257, ""),
    ],
)
async def test_both_ways_refuse_with_the_same_bytes(
    world: World, name: str, around: str, query: str
) -> None:
    async with serving(world) as (_, port), connection(port) as c:
        answers = []
        for spelling in (name, around):
            c.send(f"/v1/users/{spelling}/recommendations{query}", ADA)
            answers.append(plain(await c.answer()))
        assert answers[0] == answers[1]
        assert answers[0][0].startswith((b"HTTP/1.1 403", b"HTTP/1.1 400"))


async def test_both_ways_refuse_too_many_with_the_same_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.services.rates, "count", lambda *_: -1)
    async with serving(world) as (_, port), connection(port) as c:
        answers = []
        for target in (LISTS, AROUND):
            c.send(target, ADA)
            answers.append(plain(await c.answer()))
        assert answers[0] == answers[1]
        assert answers[0][0].startswith(b"HTTP/1.1 429")
        assert b"retry-after" in answers[0][0]


async def test_the_application_never_sees_what_is_answered_at_once(world: World) -> None:
    asked: list[str] = []
    inner = world.app

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        asked.append(str(scope["path"]))
        await inner(scope, receive, send)  # type: ignore[arg-type]

    world.app = app  # type: ignore[assignment]
    try:
        async with serving(world) as (_, port), connection(port) as c:
            for target in (LISTS, AROUND, "/healthz", LISTS):
                c.send(target, ADA)
                assert (await c.answer())[0].startswith(b"HTTP/1.1 200 OK\r\n")
            assert asked == ["/v1/users/ada/recommendations", "/healthz"]
    finally:
        world.app = inner


async def test_answers_come_in_the_order_of_pipelined_requests(world: World) -> None:
    async with serving(world) as (_, port), connection(port) as c:
        for target in (LISTS, "/healthz", LISTS, AROUND, LISTS):
            c.send(target, ADA)
        bodies = [(await c.answer())[1] for _ in range(5)]
        assert [b"impression_id" in body for body in bodies] == [True, False, True, True, True]


@pytest.mark.parametrize(
    ("target", "more", "status"),
    [
        (LISTS, "", 401),
        (LISTS, "authorization: Token nobody\r\n", 401),
        ("/v1/users/bob/recommendations", ADA, 403),
        ("/v1/users/ada/recommendations?limit=0", ADA, 400),
        ("/v1/users//recommendations", ADA, 404),
        (f"/v1/users/{'n' * 257}/recommendations", PLAYER, 404),
        ("/v1/users/ada/recommendations#there", ADA, 200),
        ("/v1/users/ada#x/recommendations", PLAYER, 405),
        (LISTS, ADA + "expect: 100-continue\r\n", 200),
    ],
)
async def test_the_unusual_goes_around(world: World, target: str, more: str, status: int) -> None:
    async with serving(world) as (_, port), connection(port) as c:
        c.send(target, more)
        assert (await c.answer())[0].startswith(f"HTTP/1.1 {status} ".encode())
        c.send(LISTS, ADA)
        assert (await c.answer())[0].startswith(b"HTTP/1.1 200 ")


async def test_old_clients_and_bodies_where_none_belongs(world: World) -> None:
    async with serving(world) as (_, port):
        async with connection(port) as c:
            c.send(LISTS, ADA + "content-length: 5\r\n", body="hello")
            c.send(LISTS, ADA)
            assert [b"impression_id" in (await c.answer())[1] for _ in range(2)] == [True, True]
        async with connection(port) as c:
            c.send(LISTS, ADA, version="1.0")
            assert b"impression_id" in (await c.answer())[1]
            assert await c.ended()


async def test_limits_count_both_ways_together(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(world) as (_, port), connection(port) as c:
        used = -world.services.rates.count("token ada-token", 0, 0)
        c.send(LISTS, ADA)
        assert int(re.findall(rb"remaining: (\d+)", (await c.answer())[0])[0]) < 100_000 - used
        monkeypatch.setattr(world.services.rates, "count", lambda *_: -1)
        c.send(LISTS, ADA)
        assert (await c.answer())[0].startswith(b"HTTP/1.1 429 ")


async def test_a_mistake_of_ours_is_told_without_details(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    async with serving(world) as (_, port), connection(port) as c:
        monkeypatch.setattr(world.services.desk, "_bodies", broken)
        answers = []
        for target in (LISTS, AROUND):
            c.send(target, ADA)
            answers.append(plain(await c.answer()))
        assert answers[0] == answers[1]
        assert answers[0][0].startswith(b"HTTP/1.1 500 ")
        assert b"secret" not in answers[0][1]


def held_back(world: World, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let the feature store answer nobody until the event is set."""
    gate = asyncio.Event()

    async def slowly(user_ids: list[str]) -> list[bytes | None]:
        await gate.wait()
        return [None] * len(user_ids)

    monkeypatch.setattr(world.services.features, "get_many", slowly)
    return gate


async def test_who_hangs_up_and_who_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One client leaves, the server has to stop, the other still gets its list."""
    gate = held_back(world, monkeypatch)
    async with serving(world) as (server, port), connection(port) as c:
        async with connection(port) as gone:
            gone.send(LISTS, ADA)
            c.send(LISTS, ADA)
            while len(server.server_state.connections) < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
        server.should_exit = True
        while len(server.server_state.connections) > 1:
            await asyncio.sleep(0.01)
        gate.set()
        assert b"impression_id" in (await c.answer())[1]
        assert await c.ended()


PLAYS = "/v1/plays"
#: The same, in a spelling the fast path leaves alone.
PLAYS_AROUND = "/v1/pl%61ys"
#: A fixed moment: what tests are called must not change from one worker to the next.
WHEN = 1_700_000_000_000


def plays(*titles: str, **more: object) -> bytes:
    made = [{"artist": "Air", "title": title, "played_at": WHEN, **more} for title in titles]
    return json.dumps({"plays": made}).encode()


def post(c: Connection, target: str, body: bytes, more: str = ADA, length: int = -1) -> None:
    size = len(body) if length < 0 else length
    head = f"POST {target} HTTP/1.1\r\nhost: segue\r\ncontent-length: {size}\r\n{more}\r\n"
    c.writer.write(head.encode() + body)


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (plays("Sexy Boy"), ADA, 202),
        (plays(*(f"Track {n}" for n in range(1000))), ADA, 202),
        (plays("Sexy Boy"), ADA + "connection: close\r\n", 202),
        (plays("Sexy Boy", user="bob"), PLAYER, 202),
        (plays("Sexy Boy", user="bob"), ADA, 403),
        (plays("Sexy Boy", " "), ADA, 202),
        (plays(" "), ADA, 400),
        (plays(), ADA, 400),
        (b"{", ADA, 400),
        (b"", ADA, 400),
        (plays("Sexy Boy"), "", 401),
        (plays("Sexy Boy"), "authorization: Token nobody\r\n", 401),
        (plays("Sexy Boy"), "authorization: Token analyst-token\r\n", 403),
        (plays("Sexy Boy"), ADA + "content-encoding: gzip\r\n", 415),
    ],
    ids=[
        *("one", "a-thousand", "then-close", "for-another", "for-another-unasked"),
        *("one-refused", "all-refused", "none", "no-json", "nothing"),
        *("no-token", "unknown-token", "wrong-role", "compressed"),
    ],
)
async def test_plays_are_answered_the_same_both_ways(
    world: World, body: bytes, more: str, status: int
) -> None:
    answers, logged = [], []
    for target in (PLAYS, PLAYS_AROUND):
        async with serving(world) as (_, port), connection(port) as c:
            post(c, target, body, more)
            answers.append(plain(await c.answer()))
            assert answers[-1][0].startswith(f"HTTP/1.1 {status} ".encode())
            if "close" in more:
                assert await c.ended()
        logged.append([(r.topic, r.key, r.partition) for r in world.log.records])
        world.log.records.clear()
    assert answers[0] == answers[1]
    assert logged[0] == logged[1]


async def test_good_plays_never_reach_the_application(world: World) -> None:
    asked: list[str] = []
    inner = world.app

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        asked.append(str(scope["path"]))
        await inner(scope, receive, send)  # type: ignore[arg-type]

    world.app = app  # type: ignore[assignment]
    try:
        async with serving(world) as (_, port), connection(port) as c:
            for body in (plays("a"), plays("a", "b"), plays(" "), plays("c")):
                post(c, PLAYS, body)
                await c.answer()
            assert asked == [PLAYS]  # the blank one
    finally:
        world.app = inner
    written = [len(decode_submission(r.value).plays) for r in world.log.records if "plays" in r[0]]
    assert written == [1, 2, 1]


class Asked:
    """Takes the place of the tracer: counts the requests that it is asked about."""

    def __init__(self) -> None:
        self.count = 0

    def request(self, headers: object) -> None:
        self.count += 1


async def test_only_a_request_that_is_answered_at_once_gets_its_span_here(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edge asks about all others: twice would use up the traces of a second twice as fast."""
    asked = Asked()
    monkeypatch.setattr(world.services, "traces", asked)
    async with serving(world) as (_, port), connection(port) as c:
        c.send(AROUND, ADA)  # the API knows the token from now on
        await c.answer()
        c.send(f"{LISTS}&explain=true", ADA)
        await c.answer()
        post(c, "/v1/plays", plays("Run", "", played_at=1))
        await c.answer()
        assert asked.count == 0
        c.send(LISTS, ADA)
        await c.answer()
        post(c, "/v1/plays", plays("Run"))
        await c.answer()
        assert asked.count == 2


async def test_a_body_in_parts_and_requests_on_each_others_heels(world: World) -> None:
    body = plays("Sexy Boy", "Talisman")
    async with serving(world) as (_, port), connection(port) as c:
        for cut in (0, 1, len(body) - 1):
            post(c, PLAYS, body[:cut], length=len(body))
            await c.writer.drain()
            await asyncio.sleep(0.05)
            c.writer.write(body[cut:])
            assert (await c.answer())[0].startswith(b"HTTP/1.1 202 ")
        for one in (body, plays("x"), b"{", plays("y")):
            post(c, PLAYS, one)
        c.send("/healthz")
        heads = [(await c.answer())[0][9:12] for _ in range(5)]
        assert heads == [b"202", b"202", b"400", b"202", b"200"]


async def test_a_log_that_is_down_promises_nothing(world: World) -> None:
    world.log.down = True
    answers = []
    async with serving(world) as (_, port), connection(port) as c:
        for target in (PLAYS, PLAYS_AROUND):
            post(c, target, plays("Sexy Boy"))
            answers.append(plain(await c.answer()))
    assert answers[0] == answers[1]
    assert answers[0][0].startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 2" in answers[0][0]


async def test_a_client_that_hangs_up_before_its_answer(world: World) -> None:
    async with serving(world) as (server, port):
        async with connection(port) as c:
            post(c, PLAYS, plays("Sexy Boy"))
            await c.writer.drain()
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        assert not server.server_state.connections
    assert len(world.log.records) == 1


async def test_a_mistake_in_taking_plays_is_no_fault_of_the_clients(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    async with serving(world) as (_, port), connection(port) as c:
        with monkeypatch.context() as patch:
            patch.setattr(world.services.records, "of_all", broken)
            answers = []
            for target in (PLAYS, PLAYS_AROUND):
                post(c, target, plays("Sexy Boy"))
                answers.append(plain(await c.answer()))
        assert answers[0] == answers[1]
        assert answers[0][0].startswith(b"HTTP/1.1 500 ")
        post(c, PLAYS, plays("Sexy Boy"))
        assert (await c.answer())[0].startswith(b"HTTP/1.1 202 ")


async def test_a_head_without_end_is_cut_off(world: World) -> None:
    async with serving(world) as (server, port):
        async with connection(port) as c:
            c.send(LISTS, ADA + f"x-much: {'m' * (MAX_HEAD // 4)}\r\n")
            assert (await c.answer())[0].startswith(b"HTTP/1.1 200 ")
        async with connection(port) as c, asyncio.timeout(10):
            c.writer.write(b"GET / HTTP/1.1\r\nx-endless: ")
            with suppress(ConnectionError):  # cut off while it sends, it may not get to read why
                while True:
                    c.writer.write(b"m" * 65_536)
                    await c.writer.drain()
            while server.server_state.connections:
                await asyncio.sleep(0.01)


def test_who_is_cut_off_takes_no_other_answer_along(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On uvloop, as in production: there, writing to a connection that is closed raises."""
    gate = held_back(world, monkeypatch)

    async def scenario() -> None:
        async with serving(world) as (_, port), AsyncExitStack() as opened:
            first, second, bad, last = [
                await opened.enter_async_context(connection(port)) for _ in range(4)
            ]
            for busy in (first, second):  # with these the desk is busy, the others wait together
                busy.send(LISTS, ADA)
                await asyncio.sleep(0.05)
            good = f"GET {LISTS} HTTP/1.1\r\n{ADA}\r\nGET /healthz HTTP/1.1\r\n\r\n"
            bad.writer.write(good.encode() + b"no request\r\n\r\n")
            assert (await bad.answer())[0].startswith(b"HTTP/1.1 400 ")
            assert await bad.ended()
            last.send(LISTS, ADA)
            await asyncio.sleep(0.05)
            gate.set()
            for waiting in (first, second, last):
                assert b"impression_id" in (await waiting.answer())[1]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


async def test_connections_that_send_no_request_are_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(door, "EVERY_SECONDS", 0.1)
    async with serving(world) as (_, port):
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        silent, half, trickling, good = (Connection(*each) for each in opened)
        half.writer.write(b"GET /healthz HTTP/1.1\r\nhost: seg")
        trickling.writer.write(b"POST /v1/plays HTTP/1.1\r\n")
        good.send("/healthz")
        assert (await good.answer())[0].startswith(b"HTTP/1.1 200")

        async def trickle() -> None:
            with suppress(OSError):
                while True:
                    trickling.writer.write(b"a: b\r\n")
                    await asyncio.sleep(0.05)

        slowly = asyncio.ensure_future(trickle())
        for connection in (silent, half, trickling):
            with suppress(ConnectionResetError):
                assert await connection.ended()
        slowly.cancel()
        fresh = Connection(*await asyncio.open_connection("127.0.0.1", port))
        fresh.send("/healthz")
        assert (await fresh.answer())[0].startswith(b"HTTP/1.1 200")
        for connection in (good, fresh, silent, half, trickling):
            connection.writer.close()


class Endless:
    """An application whose answer ends only when its client leaves."""

    def __init__(self, size: int = 2**62) -> None:
        self.size = size
        self.left = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def body() -> AsyncIterator[bytes]:
            for _ in range(0, self.size, 65_536):
                await asyncio.sleep(0)  # as where rows are read
                yield b"x" * 65_536

        try:
            await StreamingResponse(body())(scope, receive, send)
        finally:
            self.left.set()


async def test_a_client_that_does_not_read_its_answer_is_turned_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "READ_SECONDS", 0.3)
    monkeypatch.setattr(door, "READ_RATE", 2**62)
    monkeypatch.setattr(door, "EVERY_SECONDS", 0.1)
    endless = Endless()
    stalled = replace(world, app=endless)  # type: ignore[arg-type]
    async with serving(stalled) as (_, port), connection(port) as c:
        c.send("/anything")
        async with asyncio.timeout(30):
            await endless.left.wait()


async def test_a_client_that_reads_again_stays(world: World) -> None:
    size = 64 * 1_048_576  # more than all buffers on the way
    late = replace(world, app=Endless(size))  # type: ignore[arg-type]
    async with serving(late) as (server, port), connection(port) as c, asyncio.timeout(60):
        c.send("/anything", "connection: close\r\n")
        while not server.server_state.connections:
            await asyncio.sleep(0.01)
        (protocol,) = server.server_state.connections
        assert isinstance(protocol, FastProtocol)
        while protocol.unread_until is None:
            await asyncio.sleep(0.01)
        left = protocol.unread_until - asyncio.get_running_loop().time()
        assert left > door.READ_SECONDS / 2
        read = 0
        while piece := await c.reader.read(2**20):
            read += len(piece)
        assert read > size
        assert protocol.unread_until is None


def test_one_address_holds_half_of_the_connections_and_all_of_them_are_bounded() -> None:
    class Guest:
        waiting_since: float | None = None
        unread_until: float | None = None
        closed = False

        def __init__(self, address: str) -> None:
            self.address = address

        def turn_away(self) -> None:
            self.closed = True

    loop = asyncio.new_event_loop()
    entrance = door.Door(4)
    greedy = [Guest("10.0.0.1") for _ in range(5)]
    assert [entrance.enter(guest, loop) for guest in greedy] == [True, True, False, False, False]
    assert [guest.closed for guest in greedy] == [False, False, True, True, True]
    others = [Guest(f"10.0.0.{n}") for n in (2, 3, 4)]
    assert [entrance.enter(guest, loop) for guest in others] == [True, True, False]
    entrance.leave(greedy[0])
    entrance.leave(greedy[4])  # never counted
    assert entrance.enter(Guest("10.0.0.9"), loop)
    assert not entrance.enter(Guest("10.0.0.9"), loop)
    loop.close()
