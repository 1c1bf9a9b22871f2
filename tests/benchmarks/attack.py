"""What hostile traffic costs everybody else: half requests and made-up logins.

Each part asks for lists as a good client meanwhile; the floor is the same client without attack.
Wall-clock figures need a quiet machine; shares and processor time do not.
"""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil

from infra.stack.stack import Stack
from tests.benchmarks.figures import latency, machine
from tests.benchmarks.stack import api_alone

_HEAD = b"GET /v1/me HTTP/1.1\r\nhost: x\r\nx-slow: "


def run(*, connections: int = 2_000, logins: int = 80) -> dict[str, Any]:
    """Return what half requests and made-up logins cost a good client.

    Parameters
    ----------
    connections
        Half of them send half a head, half of them nothing.
    logins
        With made-up names and passwords, all at once.
    """
    with api_alone() as stack:
        calm = _good_client(stack, 100)
        half = _half_requests(stack, connections)
        flood = _logins(stack, logins)
    return {
        "floor": calm,
        "half_requests": half,
        "logins": flood,
        "machine": machine(),
    }


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
