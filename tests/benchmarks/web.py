"""The pages with 100 and 1,000 live clients, beside the floor taken in the same run.

Five tabs a listener, each an open stream, read as bytes in one process; requests are timed in
another. While plays are posted at a steady rate, each tab of the listener must get its new list:
timed from before the post to the first bytes of the event. Lists of the API are asked for at a
steady rate before any client is there (the floor) and with all of them; pages likewise, beside
``/healthz`` of the same process, which costs a request and nothing else.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import secrets
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import httpx
import psutil
from redis.asyncio import Redis

from contracts.features import Keys
from infra.stack.process import wait_until
from infra.stack.stack import Stack
from tests.benchmarks.figures import latency, machine
from tests.benchmarks.stack import whole
from web.assets import Assets
from web.sessions import Session, Sessions

TABS = 5
_PLAYED = 30


def run(*, clients: int = 1_000, seconds: float = 15.0, plays_per_second: float = 20.0) -> Any:
    """Measure the pages: play to event, memory a client, and what live clients cost the lists.

    Parameters
    ----------
    clients
        Streams that are open at once.
    seconds
        Of each phase.
    plays_per_second
        Posted meanwhile.
    """
    with whole(rate_per_address=1_000_000, rate_per_token=1_000_000) as stack:
        stack.start_worker("web")
        healthz = f"{stack.web}/healthz"
        assert wait_until(lambda: _answers(healthz), 60), "the pages do not become ready"
        return asyncio.run(_measure(stack, clients, seconds, plays_per_second))


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


async def _measure(
    stack: Stack, clients: int, seconds: float, plays_per_second: float
) -> dict[str, Any]:
    users = [f"bench-{i}" for i in range(max(1, clients // TABS))]
    admin = {"authorization": f"Bearer {stack.settings.admin_token}"}
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return await _phases(stack, pool, users, admin, clients, seconds, plays_per_second)


async def _phases(
    stack: Stack,
    pool: ProcessPoolExecutor,
    users: list[str],
    admin: dict[str, str],
    clients: int,
    seconds: float,
    plays_per_second: float,
) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=60) as http:
        await _history(http, stack, admin, users)
        cookies = await _sessions(stack, users)
        lists = f"{stack.api}/v1/users/{users[0]}/recommendations"
        page, health = f"{stack.web}/ui/", f"{stack.web}/healthz"
        before = {
            "lists_ms": await _asked(pool, lists, admin, seconds, 50),
            "page_ms": await _asked(pool, page, cookies[users[0]], seconds, 20),
            "healthz_ms": await _asked(pool, health, {}, seconds, 20),
        }
        process = psutil.Process(stack.workers["web"].pid)
        empty = process.memory_info().rss
        tabs = [Tab(user, cookies[user]) for user in users for _ in range(TABS)][:clients]
        readers = [asyncio.create_task(tab.read(stack.settings.web_port)) for tab in tabs]
        started = time.perf_counter()
        async with asyncio.timeout(180):
            await asyncio.gather(*(tab.opened.wait() for tab in tabs))
        opened = time.perf_counter() - started
        full = process.memory_info().rss
        playing = asyncio.create_task(
            _play(http, stack, admin, tabs, 3 * seconds, plays_per_second)
        )
        during = {
            "lists_ms": await _asked(pool, lists, admin, seconds, 50),
            "page_ms": await _asked(pool, page, cookies[users[0]], seconds, 20),
            "healthz_ms": await _asked(pool, health, {}, seconds, 20),
        }
        waited, missed = await playing
        loaded = process.memory_info().rss
        first = await http.get(page, headers=cookies[users[0]])
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    assets = Assets()
    sent = [asset for name in ("htmx.js", "ui.js", "ui.css") if (asset := assets.find(name))]
    return {
        "clients": clients,
        "without_clients": before,
        "with_clients": during,
        "lists_p99_with_to_without": _ratio(during["lists_ms"], before["lists_ms"]),
        "play_to_event_ms": latency(waited),
        "events_missed": missed,
        "streams_refused_at_first": sum(tab.refused for tab in tabs),
        "seconds_until_all_streams_opened": round(opened, 2),
        "kb_a_client": round((full - empty) / 1000 / clients, 1),
        "kb_a_client_after_lists": round((loaded - empty) / 1000 / clients, 1),
        "web_mb": round(loaded / 1e6, 1),
        "page_gzip_bytes": len(gzip.compress(first.content)),
        "scripts_and_style_gzip_bytes": sum(len(asset.packed) for asset in sent),
        "machine": machine(),
    }


def _ratio(loaded: dict[str, float], floor: dict[str, float]) -> float | None:
    """Return how many times the floor's p99 a p99 is; at most 1.1 is asked for."""
    return round(loaded["p99"] / floor["p99"], 3) if floor.get("p99") else None


class Tab:
    """An open tab: notes when lists arrive."""

    def __init__(self, user: str, cookie: dict[str, str]) -> None:
        self.user = user
        self.opened = asyncio.Event()
        self.arrived: list[float] = []
        self.refused = 0
        self._cookie = cookie

    async def read(self, port: int) -> None:
        """Read until cancelled; one that is refused comes back as a browser does."""
        while not await self._read(port):
            self.refused += 1
            await asyncio.sleep(0.5)

    async def _read(self, port: int) -> bool:
        """Read bytes as they come: parsing would cost more than serving. ``False``: refused."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        head = (
            "GET /ui/live HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip, deflate, br\r\n"
            f"cookie: {self._cookie['cookie']}\r\n\r\n"
        )
        writer.write(head.encode())
        end = b""
        try:
            while piece := await reader.read(65_536):
                if not self.opened.is_set():
                    if not piece.startswith(b"HTTP/1.1 200"):
                        return False
                    self.opened.set()
                # The mark may lie across two pieces.
                if b"event: list\n" in end + piece:
                    self.arrived.append(time.perf_counter())
                end = piece[-11:]
            return True
        finally:
            writer.close()


async def _history(
    http: httpx.AsyncClient, stack: Stack, admin: dict[str, str], users: list[str]
) -> None:
    now, rng = int(time.time() * 1000) - 10_000_000, random.Random(3)
    plays = [
        {
            "user": user, "played_at": now + 200_000 * i,
            "artist": f"Artist {(song := rng.randrange(400)) % 40}", "title": f"Song {song}",
        }
        for user in users
        for i in range(_PLAYED)
    ]  # fmt: skip
    for at in range(0, len(plays), 1000):
        body = {"plays": plays[at : at + 1000]}
        (await http.post(f"{stack.api}/v1/plays", headers=admin, json=body)).raise_for_status()
    await asyncio.sleep(5)


async def _sessions(stack: Stack, users: list[str]) -> dict[str, dict[str, str]]:
    settings = stack.settings
    redis: Redis = Redis.from_url(settings.redis_url)
    sessions = Sessions(redis, Keys(settings.namespace, settings.partitions))
    cookies = {}
    for user in users:
        session = Session(
            token=settings.admin_token, user=user, roles=["listener"],
            csrf=secrets.token_hex(16), expires=time.time() + 3600, asked=time.time(),
        )  # fmt: skip
        cookies[user] = {"cookie": f"segue={await sessions.make(session)}"}
    await redis.aclose()
    return cookies


async def _asked(
    pool: ProcessPoolExecutor, url: str, headers: dict[str, str], seconds: float, rate: float
) -> dict[str, float]:
    """Ask from a process of its own: the loop that reads a thousand streams would be late."""
    loop = asyncio.get_running_loop()
    return latency(await loop.run_in_executor(pool, _ask, url, headers, seconds, rate))


def _ask(url: str, headers: dict[str, str], seconds: float, rate: float) -> list[float]:
    return asyncio.run(_ask_steadily(url, headers, seconds, rate))


async def _ask_steadily(
    url: str, headers: dict[str, str], seconds: float, rate: float
) -> list[float]:
    """Ask at a steady rate, whether or not the answer before has come (open loop)."""
    times: list[float] = []

    async with httpx.AsyncClient(timeout=60) as http:

        async def one(at: float) -> None:
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            answer = await http.get(url, headers=headers)
            answer.raise_for_status()
            times.append(time.perf_counter() - at)

        start = time.perf_counter() + 0.1
        await asyncio.gather(*(one(start + i / rate) for i in range(int(seconds * rate))))
    return times


async def _play(
    http: httpx.AsyncClient,
    stack: Stack,
    admin: dict[str, str],
    tabs: list[Tab],
    seconds: float,
    rate: float,
) -> tuple[list[float], int]:
    """Post plays of different listeners in turn; return what each of their tabs waited (s)."""
    by_user: dict[str, list[Tab]] = {}
    for tab in tabs:
        by_user.setdefault(tab.user, []).append(tab)
    users = list(by_user)
    # A listener plays at most once a second: lists are made no more often than twice.
    rate = min(rate, float(len(users)))
    posted: list[tuple[str, float]] = []

    async def one(i: int, at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        user = users[i % len(users)]
        play = {"user": user, "artist": f"Artist {i % 40}", "title": f"Song {i % 400}"}
        body = {"plays": [play | {"played_at": int(time.time() * 1000)}]}
        posted.append((user, time.perf_counter()))
        await http.post(f"{stack.api}/v1/plays", headers=admin, json=body)

    start = time.perf_counter()
    await asyncio.gather(*(one(i, start + i / rate) for i in range(int(seconds * rate))))
    await asyncio.sleep(3)
    waited, missed = [], 0
    for user, at in posted:
        for tab in by_user[user]:
            later = [moment for moment in tab.arrived if moment >= at]
            if later:
                waited.append(later[0] - at)
            else:
                missed += 1
    return waited, missed
