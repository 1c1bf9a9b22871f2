"""Limits: requests of each caller, failed logins, bodies that take their time."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisGone

from api import http
from api.errors import ApiError
from api.failed_logins import FailedLogins
from api.http import read_body
from api.lastfm.errors import RATE_LIMIT, LastfmError
from api.lastfm.sessions import ATTEMPTS, ATTEMPTS_OF_ADDRESS, log_in, log_in_md5, md5
from api.listenbrainz.limits import RateWindow
from api.passwords import PasswordChecks, TooMany
from api.patience import Patience
from api.shared_rates import SharedRates
from contracts.features import Keys
from contracts.forwarded import Forwarded
from tests.api.conftest import World

ADA = {"authorization": "Token ada-token"}


@dataclass
class Clock:
    """Stands still until a test moves it."""

    now: float = 1_000_003.0


@pytest.fixture
def strict(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Three requests a window for whoever has no token, five for a token."""
    gate, clock = world.app._gate, Clock()
    monkeypatch.setattr(gate, "_rates", RateWindow(clock=lambda: clock.now))
    monkeypatch.setattr(gate, "_per_address", 3)
    monkeypatch.setattr(gate, "_per_token", 5)
    return clock


@pytest.mark.parametrize(
    "path", ["/v1/trending", "/1/validate-token", "/v1/users/ada/recommendations"]
)
async def test_every_caller_is_limited(client: httpx.AsyncClient, strict: Clock, path: str) -> None:
    for remaining in (4, 3, 2, 1, 0):
        answer = await client.get(path, headers=ADA)
        assert answer.headers["x-ratelimit-limit"] == "5"
        assert answer.headers["x-ratelimit-remaining"] == str(remaining)
        assert answer.headers["x-ratelimit-reset-in"] == "7"
    refused = await client.get(path, headers=ADA)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    # A new window starts at zero, for all callers at once.
    strict.now += 6.9
    assert (await client.get(path, headers=ADA)).status_code == 429
    strict.now += 0.2
    answer = await client.get(path, headers=ADA)
    assert answer.headers["x-ratelimit-remaining"] == "4"
    assert answer.headers["x-ratelimit-reset-in"] == "10"
    assert answer.headers["x-ratelimit-reset"] == "1000020"
    # Another caller is not held back.
    stranger = await client.get(path)
    assert stranger.status_code != 429
    assert stranger.headers["x-ratelimit-limit"] == "3"


async def test_a_bad_token_counts_for_its_address(client: httpx.AsyncClient, strict: Clock) -> None:
    for guess in range(3):
        answer = await client.get("/v1/trending", headers={"authorization": f"Token {guess}"})
        assert answer.status_code == 401
    answer = await client.get("/v1/trending", headers={"authorization": "Token 4"})
    assert answer.status_code == 429


async def test_scrobblers_are_told_in_their_own_words(
    client: httpx.AsyncClient, strict: Clock
) -> None:
    for _ in range(3):
        await client.post("/2.0/", data={"method": "auth.getToken"})
    answer = await client.post("/2.0/", data={"method": "auth.getToken"})
    assert (answer.status_code, answer.json()["error"]) == (429, RATE_LIMIT)


async def test_health_answers_whoever_asks(client: httpx.AsyncClient, strict: Clock) -> None:
    for _ in range(10):
        assert (await client.get("/healthz")).status_code == 200


@pytest.fixture
def logins(world: World, monkeypatch: pytest.MonkeyPatch) -> FailedLogins:
    """The failed logins of a minute that does not end; Redis does not answer."""
    services = world.services
    failed = FailedLogins(services.redis, services.keys, clock=lambda: 1_000_000.0)
    monkeypatch.setattr(services, "logins", failed)
    return failed


async def test_failed_logins_of_a_name(
    world: World, logins: FailedLogins, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_rows(*_: object) -> list[tuple[Any, ...]]:
        return []

    monkeypatch.setattr("api.lastfm.sessions.query", no_rows)
    monkeypatch.setattr("api.lastfm.sessions._verify", lambda *_: False)
    codes = []
    for _ in range(ATTEMPTS + 1):
        with pytest.raises(LastfmError) as caught:
            await log_in(world.services, "mallory", "wrong")
        codes.append(caught.value.code)
    assert codes == [4] * ATTEMPTS + [RATE_LIMIT]
    with pytest.raises(LastfmError) as caught:
        await log_in(world.services, "another", "wrong")
    assert caught.value.code == 4


async def test_whoever_knows_a_name_cannot_keep_its_player_out(
    world: World, logins: FailedLogins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong passwords from one address; the right one from another, and a proof from the same."""
    stored = md5("token")

    async def rows(_: object, text: str, *__: object) -> list[tuple[Any, ...]]:
        return [(b"hash", stored, None, 0)] if "scrobbler_md5" in text else [("stored",)]

    monkeypatch.setattr("api.lastfm.sessions.query", rows)
    monkeypatch.setattr("api.lastfm.sessions._verify", lambda _, given: given == "right")
    for _ in range(ATTEMPTS):
        with pytest.raises(LastfmError):
            await log_in(world.services, "ada", "wrong", "6.6.6.6")
    with pytest.raises(LastfmError) as caught:
        await log_in(world.services, "ada", "right", "6.6.6.6")
    assert caught.value.code == RATE_LIMIT
    assert (await log_in(world.services, "ada", "right", "10.0.0.1")).user_id == "ada"
    for _ in range(3 * ATTEMPTS):
        with pytest.raises(LastfmError) as caught:
            await log_in_md5(world.services, "ada", "0" * 32, None)
        assert caught.value.code == 4
    assert (await log_in_md5(world.services, "ada", md5("ada" + stored), None)).user_id == "ada"


async def test_made_up_names_from_one_address_are_limited(
    world: World, logins: FailedLogins, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_rows(*_: object) -> list[tuple[Any, ...]]:
        return []

    monkeypatch.setattr("api.lastfm.sessions.query", no_rows)
    monkeypatch.setattr("api.lastfm.sessions._verify", lambda *_: False)
    codes = []
    for n in range(ATTEMPTS_OF_ADDRESS + 5):
        with pytest.raises(LastfmError) as caught:
            await log_in(world.services, f"name {n}", "wrong", "6.6.6.6")
        codes.append(caught.value.code)
    assert codes == [4] * ATTEMPTS_OF_ADDRESS + [RATE_LIMIT] * 5


async def test_who_signs_in_on_the_pages_is_counted_by_their_own_address(
    world: World, logins: FailedLogins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One person who types wrong passwords on the pages keeps nobody else out."""

    async def rows(_: object, text: str, *__: object) -> list[tuple[Any, ...]]:
        return []

    monkeypatch.setattr("api.lastfm.sessions.query", rows)
    monkeypatch.setattr("api.lastfm.sessions._verify", lambda *_: False)

    async def statuses(peer: str, address: str, count: int) -> list[int]:
        app = Forwarded(world.app, "127.0.0.1,10.1.0.0/16")
        transport = httpx.ASGITransport(app, client=(peer, 5))
        headers = {"x-forwarded-for": address}
        async with httpx.AsyncClient(transport=transport, base_url="http://segue") as client:
            return [
                (
                    await client.post(
                        "/v1/sessions", json={"user": "ada", "password": "x"}, headers=headers
                    )
                ).status_code
                for _ in range(count)
            ]

    web, player = "10.1.2.3", "198.51.100.4"
    assert await statuses(web, "203.0.113.1", ATTEMPTS + 1) == [401] * ATTEMPTS + [429]
    assert await statuses(web, "203.0.113.2", 1) == [401]
    # A host that is not trusted counts under its own address, and its header is ignored.
    found = [status for n in range(ATTEMPTS + 1) for status in await statuses(player, f"{n}", 1)]
    assert found == [401] * ATTEMPTS + [429]


async def test_few_passwords_are_checked_at_once_and_few_wait() -> None:
    checks, gate, running = PasswordChecks(at_once=2, waiting=3), threading.Event(), []

    def check(stored: str, given: str) -> bool:
        running.append(given)
        gate.wait(30)
        return stored == given

    asked = [asyncio.ensure_future(checks.run(check, "x", f"{n}")) for n in range(20)]
    while len(running) < 2:
        await asyncio.sleep(0.01)
    assert len(running) == 2
    gate.set()
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(result, TooMany) for result in done] == [False] * 5 + [True] * 15
    assert await checks.run(check, "x", "x")
    checks.close()


async def test_a_body_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_PATIENCE", Patience(0.05))

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(ApiError) as caught:
        await read_body({"headers": []}, receive, 1000)
    assert caught.value.status == 408
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_patience_is_for_those_who_wait_too_long_alone() -> None:
    patience = Patience(0.09)
    told: list[str] = []

    async def wait(name: str, seconds: float) -> None:
        task = patience.begin()
        try:
            await asyncio.sleep(seconds)
            told.append(f"{name} done")
        except asyncio.CancelledError:
            if not patience.ran_out(task):
                told.append(f"{name} stopped")
                raise
            told.append(f"{name} too slow")
        finally:
            patience.end(task)

    stopped = asyncio.ensure_future(wait("ada", 60))
    others = [asyncio.ensure_future(wait("bob", 60)), asyncio.ensure_future(wait("eve", 0))]
    await asyncio.sleep(0)
    stopped.cancel()
    await asyncio.gather(*others)
    await asyncio.gather(stopped, return_exceptions=True)
    assert stopped.cancelled()
    await wait("zoe", 60)  # the clock runs again after a pause
    assert sorted(told) == ["ada stopped", "bob too slow", "eve done", "zoe too slow"]


async def test_failed_logins_are_limited_when_all_come_at_once(
    world: World, logins: FailedLogins, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow_rows(*_: object) -> list[tuple[Any, ...]]:
        await asyncio.sleep(0.01)
        return [("stored",)]

    monkeypatch.setattr("api.lastfm.sessions.query", slow_rows)
    monkeypatch.setattr("api.lastfm.sessions._verify", lambda _, given: given == "right")
    for _ in range(2 * ATTEMPTS):  # good ones do not count
        assert (await log_in(world.services, "oscar", "right")).user_id == "oscar"
    guesses = [log_in(world.services, "oscar", f"guess {n}") for n in range(3 * ATTEMPTS)]
    failed = await asyncio.gather(*guesses, return_exceptions=True)
    codes = [error.code for error in failed if isinstance(error, LastfmError)]
    assert sorted(codes) == [4] * ATTEMPTS + [RATE_LIMIT] * 2 * ATTEMPTS


async def test_a_login_is_uncounted_in_the_minute_for_which_it_was_counted(world: World) -> None:
    clock = Clock()
    services = world.services
    logins = FailedLogins(services.redis, services.keys, clock=lambda: clock.now)
    limits = {"ada from 6.6.6.6": 3}
    clock.now = 59.9
    slow = await logins.count(limits)
    clock.now = 60.1
    guesses = [await logins.count(limits) for _ in range(3)]
    await logins.take_back(slow)
    assert [guess.left for guess in guesses] == [2, 1, 0]
    assert (await logins.count(limits)).left == -1


async def test_a_name_nobody_can_have_is_not_remembered(world: World, logins: FailedLogins) -> None:
    with pytest.raises(LastfmError) as caught:
        await log_in(world.services, "n" * 257, "wrong")
    assert caught.value.code == 4
    assert not logins._here._counts


class CountsInRedis:
    """Two hash commands, in a pipeline, for several processes."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.trips = 0
        self.gone = False

    def pipeline(self, transaction: bool) -> Pipeline:
        return Pipeline(self)


class Pipeline:
    def __init__(self, redis: CountsInRedis) -> None:
        self._redis = redis
        self._adds: list[tuple[tuple[str, str], int]] = []

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    def hincrby(self, key: str, name: str, by: int) -> None:
        self._adds.append(((key, name), by))

    def expire(self, key: str, seconds: int) -> None:
        assert seconds >= 20

    async def execute(self) -> list[int]:
        self._redis.trips += 1
        if self._redis.gone:
            raise RedisGone
        counts = self._redis.counts
        for at, by in self._adds:
            counts[at] = counts.get(at, 0) + by
        return [*(counts[at] for at, _ in self._adds), 1]


def processes(redis: CountsInRedis, clock: Clock, number: int) -> list[SharedRates]:
    keys = Keys("segue", 4)
    return [SharedRates(redis, keys, lambda: clock.now) for _ in range(number)]  # type: ignore[arg-type]


async def test_processes_share_one_limit() -> None:
    redis, clock = CountsInRedis(), Clock()
    two = processes(redis, clock, 2)
    accepted = 0
    for number in range(400):  # a load balancer that alternates, exchanges every 20 requests
        accepted += two[number % 2].count("token t", 100) >= 0
        if number % 20 == 19:
            for each in two:
                await each.exchange()
    assert 100 <= accepted <= 120
    clock.now += 10
    assert all(each.count("token t", 100) == 99 for each in two)
    for each in two:
        await each.stop()


async def test_one_process_gives_a_caller_the_whole_limit() -> None:
    """A client keeps its connection: all of its requests may reach one process of many."""
    redis, clock = CountsInRedis(), Clock()
    first, *others = processes(redis, clock, 4)
    for number in range(100):
        assert first.count("token t", 100) == 99 - number
        if number % 10 == 0:
            await first.exchange()
    assert first.count("token t", 100) == -1
    await asyncio.gather(*(each.stop() for each in (first, *others)))


async def test_callers_far_from_their_limit_cost_nothing() -> None:
    redis, clock = CountsInRedis(), Clock()
    (one,) = processes(redis, clock, 1)
    for caller in range(1_000):
        one.count(f"token {caller}", 100)
    await one.exchange()
    assert redis.trips == 0
    assert one._task is None


async def test_without_redis_each_process_applies_the_limit() -> None:
    redis, clock = CountsInRedis(), Clock()
    two = processes(redis, clock, 2)
    redis.gone = True
    for each in two:
        assert [each.count("token t", 3) for _ in range(4)] == [2, 1, 0, -1]
        await each.exchange()
    redis.gone = False
    for each in two:  # what was counted meanwhile is reported
        await each.exchange()
    assert sum(redis.counts.values()) == 8
    assert two[1].count("token t", 100) == 100 - 4 - 4 - 1
    await asyncio.gather(*(each.stop() for each in two))


async def test_an_exchange_comes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.shared_rates.EVERY_SECONDS", 0.0)
    redis, clock = CountsInRedis(), Clock()
    (one,) = processes(redis, clock, 1)
    for _ in range(3):
        one.count("token t", 100)
    for _ in range(10):
        await asyncio.sleep(0)
    assert list(redis.counts.values()) == [3]
    assert "token t" not in str(redis.counts)
