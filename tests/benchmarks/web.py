"""The pages with 100 and 1,000 live clients, beside the floor taken in the same run.

What is asked: how much longer do lists of the API take while many clients watch? Three situations
take turns, so that no drift of the machine favours one of them. In all of them lists are asked for
at 50 a second, and 20 plays a second are posted and learned:

``plays``
    Nobody watches.
``static``
    The clients watch a process that sends as many bytes as often, from memory. On few cores the
    clients take processor time from the API, which in production they do not.
``live``
    The clients watch the pages: five tabs a listener, each an open stream.

``lists_p99_live_to_static`` compares the last two. ``p99_by_round`` shows how far apart equal
situations lie: a ratio within that is noise. ``cpu_ms_per_event`` is the processor time that the
pages cost in each process for a list that reaches a tab, and does not depend on how the processes
share the cores.

From a play to its event: from before the post to the first bytes that the tab reads.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import secrets
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import httpx
import psutil
from redis.asyncio import Redis

from contracts.features import Keys
from infra.stack.process import wait_until
from infra.stack.stack import Stack
from tests.benchmarks.cpu import CpuTimes, pids_of
from tests.benchmarks.figures import latency, machine
from tests.benchmarks.stack import answers, whole
from tests.benchmarks.tabs import OpenTabs, Tab, static_server
from web.assets import Assets
from web.sessions import Session, Sessions

TABS = 5
LISTS_A_SECOND = 50
SITUATIONS = ("plays", "static", "live")
_PLAYED = 30
_LIST_BYTES = 17_000


def run(
    *,
    clients: int = 1_000,
    seconds: float = 20.0,
    rounds: int = 2,
    plays_per_second: float = 20.0,
) -> Any:
    """Pages: play to event, memory a client, and what live clients cost the API's lists.

    Parameters
    ----------
    clients
        Streams that are open at once.
    seconds
        Of each situation in each round; 20 or more include the comments that keep streams open.
    rounds
        The situations take turns so often.
    plays_per_second
        Posted meanwhile.
    """
    with whole(rate_per_address=1_000_000, rate_per_token=1_000_000) as stack:
        stack.start_worker("web")
        healthz = f"{stack.web}/healthz"
        assert wait_until(lambda: answers(healthz), 60), "the pages do not become ready"
        users = [f"bench-{i}" for i in range(max(1, clients // TABS))]
        # A listener plays at most once a second: lists are made no more often than twice.
        rate = min(plays_per_second, float(len(users)))
        with (
            ProcessPoolExecutor(1, get_context("spawn")) as pool,
            static_server(TABS, rate, _LIST_BYTES) as static,
        ):
            bench = Bench(stack, pool, users, clients, seconds, rate, static)
            return asyncio.run(bench.run(rounds))


@dataclass
class Bench:
    """One run.

    Attributes
    ----------
    lists
        Seconds of each list, by situation, a round after the other.
    cpu
        Seconds of processor time by situation and process.
    waited, missed
        Seconds from a play to each of its events; events that did not come.
    """

    stack: Stack
    pool: ProcessPoolExecutor
    users: list[str]
    clients: int
    seconds: float
    rate: float
    static: int
    lists: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)
    waited: list[float] = field(default_factory=list)
    missed: int = 0

    async def run(self, rounds: int) -> dict[str, Any]:
        """Measure and return the figures."""
        stack = self.stack
        admin = {"authorization": f"Bearer {stack.settings.admin_token}"}
        async with httpx.AsyncClient(timeout=60, headers=admin) as http:
            await _history(http, stack, self.users)
            cookies = await _sessions(stack, self.users)
            tabs = [Tab(user, cookies[user]) for user in self.users for _ in range(TABS)]
            tabs = tabs[: self.clients]
            process = psutil.Process(stack.workers["web"].pid)
            empty = process.memory_info().rss
            opened, full = 0.0, empty
            for _ in range(rounds):
                for situation in SITUATIONS:
                    async with AsyncExitStack() as watching:
                        if situation != "plays":
                            live = situation == "live"
                            port = stack.settings.web_port if live else self.static
                            watch = await watching.enter_async_context(OpenTabs(tabs, port))
                            opened = watch.seconds
                        await self._situation(http, admin, situation, tabs)
                        full = max(full, process.memory_info().rss)
            pages = await self._pages(cookies[self.users[0]], tabs)
            first = await http.get(f"{stack.web}/ui/", headers=cookies[self.users[0]])
        return {
            "clients": self.clients,
            **self._figures(),
            **pages,
            "play_to_event_ms": latency(self.waited),
            "events_missed": self.missed,
            "streams_refused_at_first": sum(tab.refused for tab in tabs),
            "seconds_until_all_streams_opened": round(opened, 2),
            "kb_a_client": round((full - empty) / 1000 / self.clients, 1),
            "web_mb": round(full / 1e6, 1),
            "page_gzip_bytes": len(gzip.compress(first.content)),
            "scripts_and_style_gzip_bytes": _asset_bytes(),
            "machine": machine(),
        }

    async def _situation(
        self, http: httpx.AsyncClient, admin: dict[str, str], situation: str, tabs: list[Tab]
    ) -> None:
        """Post plays, and ask for lists of a listener from a process of its own."""
        await asyncio.sleep(5)  # until the lists are made that opening the streams asks for
        address = f"{self.stack.api}/v1/users/{self.users[0]}/recommendations"
        times = CpuTimes(pids_of(self.stack))
        for tab in tabs:
            tab.arrived.clear()
        playing = asyncio.create_task(_play(http, self.stack, self.users, self.seconds, self.rate))
        found = await self._asked(address, admin, self.seconds, LISTS_A_SECOND)
        posted = await playing
        await asyncio.sleep(1)
        self.lists[situation].append(found)
        spent = self.cpu.setdefault(situation, defaultdict(float))
        for name, used in times.seconds().items():
            spent[name] += used
        if situation == "live":
            self._events(tabs, posted)

    def _events(self, tabs: list[Tab], posted: list[tuple[str, float]]) -> None:
        by_user: dict[str, list[Tab]] = defaultdict(list)
        for tab in tabs:
            by_user[tab.user].append(tab)
        for user, at in posted:
            for tab in by_user[user]:
                later = [moment for moment in tab.arrived if moment >= at]
                if later:
                    self.waited.append(later[0] - at)
                else:
                    self.missed += 1

    async def _pages(self, cookie: dict[str, str], tabs: list[Tab]) -> dict[str, Any]:
        """Time a page, and ``/healthz`` of the same process, which costs a request and no more."""
        web = self.stack.web
        found: dict[str, Any] = {}
        async with OpenTabs(tabs, self.stack.settings.web_port):
            await asyncio.sleep(1)
            found["page_ms"] = latency(await self._asked(f"{web}/ui/", cookie, 10, 20))
            found["healthz_ms"] = latency(await self._asked(f"{web}/healthz", {}, 10, 20))
        return found

    async def _asked(
        self, url: str, headers: dict[str, str], seconds: float, rate: float
    ) -> list[float]:
        """Ask from a process of its own: the loop that reads a thousand streams would be late."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.pool, _ask, url, headers, seconds, rate)

    def _figures(self) -> dict[str, Any]:
        found = {
            name: latency([each for one in rounds for each in one])
            for name, rounds in self.lists.items()
        }
        events = len(self.waited) + self.missed
        before, after = self.cpu["static"], self.cpu["live"]
        return {
            "lists_ms": found,
            "lists_p99_live_to_static": _ratio(found["live"], found["static"]),
            "lists_p99_live_to_plays": _ratio(found["live"], found["plays"]),
            "p99_by_round": {
                name: [latency(one)["p99"] for one in rounds] for name, rounds in self.lists.items()
            },
            "cpu_ms_per_event": {
                name: round(1000 * (after[name] - before[name]) / max(1, events), 3)
                for name in after
            },
            "cpu_seconds": {
                name: {process: round(used, 2) for process, used in spent.items()}
                for name, spent in self.cpu.items()
            },
        }


def _ratio(loaded: dict[str, float], floor: dict[str, float]) -> float | None:
    """Return how many times the floor's p99 a p99 is; at most 1.1 is asked for."""
    return round(loaded["p99"] / floor["p99"], 3) if floor.get("p99") else None


def _asset_bytes() -> int:
    assets = Assets()
    sent = [asset for name in ("htmx.js", "ui.js", "ui.css") if (asset := assets.find(name))]
    return sum(len(asset.packed) for asset in sent)


async def _history(http: httpx.AsyncClient, stack: Stack, users: list[str]) -> None:
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
        (await http.post(f"{stack.api}/v1/plays", json=body)).raise_for_status()
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
    http: httpx.AsyncClient, stack: Stack, users: list[str], seconds: float, rate: float
) -> list[tuple[str, float]]:
    """Post plays of listeners, one after another; return who played when."""
    posted: list[tuple[str, float]] = []

    async def one(i: int, at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        user = users[i % len(users)]
        play = {"user": user, "artist": f"Artist {i % 40}", "title": f"Song {i % 400}"}
        body = {"plays": [play | {"played_at": int(time.time() * 1000)}]}
        posted.append((user, time.perf_counter()))
        (await http.post(f"{stack.api}/v1/plays", json=body)).raise_for_status()

    start = time.perf_counter()
    await asyncio.gather(*(one(i, start + i / rate) for i in range(int(seconds * rate))))
    return posted
