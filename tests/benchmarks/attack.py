"""What hostile or unlucky traffic costs everybody else: half requests, made-up logins, slow Redis.

Each part asks for lists as a good client meanwhile; the floor is the same client without attack.
Wall-clock figures need a quiet machine; shares and processor time do not.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

from infra.stack.process import wait_until
from infra.stack.stack import Stack
from tests.benchmarks.figures import latency, machine
from tests.benchmarks.stack import api_alone, servers
from tests.integration.proxy import slow_proxy

_HEAD = b"GET /v1/me HTTP/1.1\r\nhost: x\r\nx-slow: "


def run(*, connections: int = 2_000, logins: int = 80, delay_ms: int = 50) -> dict[str, Any]:
    """Attack an API and return what it cost.

    Parameters
    ----------
    connections
        Half of them send half a head, half of them nothing.
    logins
        With made-up names and passwords, all at once.
    delay_ms
        By which each answer of Redis comes later.
    """
    with api_alone() as stack:
        calm = _good_client(stack, 100)
        half = _half_requests(stack, connections)
        flood = _logins(stack, logins)
    return {
        "floor": calm,
        "half_requests": half,
        "logins": flood,
        "slow_redis": _slow_redis(delay_ms / 1000),
        "machine": machine(),
    }


def _good_client(stack: Stack, requests: int) -> dict[str, Any]:
    """Ask for lists on one connection each, as a browser that has just come."""
    headers = {"authorization": f"Bearer {stack.settings.admin_token}"}
    seconds, lost, degraded = [], 0, 0
    for _ in range(requests):
        started = time.perf_counter()
        try:
            answer = httpx.get(
                f"{stack.api}/v1/users/admin/recommendations", headers=headers, timeout=10
            )
            degraded += answer.json().get("degraded", False)
            lost += answer.status_code != 200
        except httpx.HTTPError:
            lost += 1
        seconds.append(time.perf_counter() - started)
    return {"ms": latency(seconds), "lost": lost, "degraded": degraded}


def _half_requests(stack: Stack, connections: int) -> dict[str, Any]:
    held = []
    for number in range(connections):
        try:
            one = socket.create_connection((stack.settings.host, stack.settings.port), timeout=5)
            one.sendall(_HEAD if number % 2 else b"")
            held.append(one)
        except OSError:
            continue
    meanwhile = _good_client(stack, 30)
    time.sleep(12)
    closed = sum(_is_closed(one) for one in held)
    for one in held:
        one.close()
    return {"opened": len(held), "closed_after_12_s": closed, "meanwhile": meanwhile}


def _is_closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _logins(stack: Stack, logins: int) -> dict[str, Any]:
    process = psutil.Process(stack.workers["api"].pid)
    before = sum(process.cpu_times()[:2])

    def login(number: int) -> float:
        fields = {"username": f"nobody {number}", "password": "x" * 12}
        started = time.perf_counter()
        httpx.post(
            f"{stack.api}/2.0/",
            data={"method": "auth.getMobileSession", "format": "json", **fields},
            timeout=120,
        )
        return time.perf_counter() - started

    with ThreadPoolExecutor(logins + 1) as pool:
        began = time.perf_counter()
        answered = [pool.submit(login, number) for number in range(logins)]
        meanwhile = _good_client(stack, 30)
        times = [each.result() for each in answered]
        passed = time.perf_counter() - began
    return {
        "seconds": round(passed, 2),
        "logins_ms": latency(times),
        "cpu_seconds": round(sum(process.cpu_times()[:2]) - before, 2),
        "rss_mb": process.memory_info().rss >> 20,
        "meanwhile": meanwhile,
    }


def _slow_redis(delay: float) -> dict[str, Any]:
    """Return how many lists go without the feature store when it answers late."""
    with servers() as stack:
        address = urlsplit(stack.settings.redis_url)
        with slow_proxy(address.port or 0, delay) as proxy:
            there = f"{address.netloc.rpartition(':')[0]}:{proxy.port}"
            url = address._replace(netloc=there).geturl()
            stack.settings = replace(stack.settings, redis_url=url)
            stack.start_worker("api")
            ready: Callable[[], bool] = lambda: _serves(stack)  # noqa: E731
            assert wait_until(ready, 60)
            time.sleep(3)
            lists = _good_client(stack, 60)
    return {"delay_ms": 1000 * delay, **lists}


def _serves(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.api}/readyz?scope=api", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
