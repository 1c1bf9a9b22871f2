"""What hostile traffic and a slow store cost a good client: half requests, made-up logins, Redis.

Each part asks for lists meanwhile; the floor is the same client without attack, or with a store
that is near. Wall-clock figures need a quiet machine; shares and processor time do not.
"""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil

from infra.stack.process import wait_until
from infra.stack.stack import Stack
from tests.benchmarks.figures import latency, machine
from tests.benchmarks.freshness import teach
from tests.benchmarks.stack import answers, api_alone, whole
from tests.integration.proxy import slow_proxy
from tests.plays import interactions

_HEAD = b"GET /v1/me HTTP/1.1\r\nhost: x\r\nx-slow: "


def run(
    *, connections: int = 2_000, logins: int = 80, lists: int = 192, delay: float = 0.1
) -> dict[str, Any]:
    """Measure what half requests, made-up logins and a slow Redis cost a good client.

    Parameters
    ----------
    connections
        Half of them send half a head, half of them nothing; 0: not measured.
    logins
        With made-up names and passwords, all at once; 0: not measured.
    lists
        Asked for while Redis is slow; 0: not measured.
    delay
        Seconds by which each answer of Redis comes later.
    """
    found: dict[str, Any] = {}
    if connections or logins:
        with api_alone() as stack:
            found["floor"] = _good_client(stack, 100)
            if connections:
                found["half_requests"] = _half_requests(stack, connections)
            if logins:
                found["logins"] = _logins(stack, logins)
    if lists:
        found["slow_redis"] = _slow_redis(lists, delay)
    return {**found, "machine": machine()}


def _slow_redis(lists: int, delay: float) -> dict[str, Any]:
    """Count lists made without the feature store while each of its answers is late."""
    with whole() as stack:
        teach(stack, 2_000)
        near = _lists(stack, lists)
        with slow_proxy(stack.valkey.port, delay) as proxy:
            stack.workers["api"].stop()
            address = stack.valkey.address.replace(f":{stack.valkey.port}/", f":{proxy.port}/")
            stack.start_worker("api", SEGUE_REDIS_URL=address)
            assert wait_until(lambda: answers(f"{stack.api}/readyz?scope=api"), 60)
            # The API connects while it answers without Redis; each step takes the delay.
            started = time.perf_counter()
            warm = wait_until(lambda: not _lists(stack, 1)["degraded"], 60)
            until_warm = time.perf_counter() - started
            far = _lists(stack, lists)
            far["seconds_until_whole"] = round(until_warm, 1) if warm else None
            ready = httpx.get(f"{stack.api}/readyz", timeout=60).json()
            far["readiness"] = ready["dependencies"]["redis"]
            stack.workers["api"].stop()
    return {"delay_ms": 1000 * delay, "floor": near, "slow": far}


def _lists(stack: Stack, lists: int) -> dict[str, Any]:
    """Ask for lists of listeners whose plays are known, one after the other."""
    users = sorted(set(interactions(2_000).users))
    headers = {"authorization": f"Bearer {stack.settings.admin_token}"}
    seconds, degraded, strangers = [], 0, 0
    with httpx.Client(base_url=stack.api, headers=headers, timeout=10) as client:
        for number in range(lists):
            user = users[number % len(users)]
            started = time.perf_counter()
            shown = client.get(f"/v1/users/{user}/recommendations").json()
            seconds.append(time.perf_counter() - started)
            degraded += shown["degraded"]
            strangers += shown["stranger"]
    return {"ms": latency(seconds), "degraded": degraded, "strangers": strangers}


def _good_client(stack: Stack, requests: int) -> dict[str, Any]:
    """Ask for lists on one connection each, as a browser that has just come."""
    headers = {"authorization": f"Bearer {stack.settings.admin_token}"}
    seconds, lost = [], 0
    for _ in range(requests):
        started = time.perf_counter()
        try:
            answer = httpx.get(
                f"{stack.api}/v1/users/admin/recommendations", headers=headers, timeout=10
            )
            lost += answer.status_code != 200
        except httpx.HTTPError:
            lost += 1
        seconds.append(time.perf_counter() - started)
    return {"ms": latency(seconds), "lost": lost}


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
