"""How long after a play is posted does the listener's next recommendation reflect it?

A listener plays the first track of their list through the real ListenBrainz client; the answer has
changed once that track is gone from the list (a track just played is not recommended again). The
clock runs from before the POST until a changed answer has been read. The floor is the same two
calls (one POST, one GET) without waiting for the change.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import liblistenbrainz

from infra.operations.replay.post import post
from infra.operations.replay.reconcile import wait_for_workers
from infra.stack.accounts import grant
from infra.stack.stack import Stack
from tests.benchmarks.figures import latency, machine
from tests.benchmarks.stack import whole
from tests.plays import interactions

_LISTENER = "freshness"
_GIVE_UP = 5.0


def run(*, broker: str = "tansu", plays: int = 200, history: int = 20_000) -> dict[str, Any]:
    """Measure from posting a play to the first recommendation that reflects it.

    Parameters
    ----------
    plays
        How many times to measure.
    history
        Plays of other listeners the model has learned before.
    """
    with whole(broker) as stack:
        teach(stack, history)
        return measure(stack, plays) | {"broker": broker, "machine": machine()}


def teach(stack: Stack, history: int) -> None:
    """Post ``history`` plays of other listeners and wait until they are applied everywhere."""
    asyncio.run(
        post(
            interactions(history),
            api=stack.api,
            token=stack.settings.admin_token,
            collection="bench",
            rate=None,
            give_up_after=60,
            progress=lambda _: None,
        )
    )
    wait_for_workers(stack.settings, timeout=120)


def measure(stack: Stack, plays: int) -> dict[str, Any]:
    """Play the top of the list `plays` times and time each change."""
    token = "freshness-" + "0" * 32
    grant(stack.settings.postgres_dsn, _LISTENER, ("listener",), token, "benchmark")
    client = liblistenbrainz.ListenBrainz(api_base_url=stack.api)
    client.set_auth_token(token)
    path = f"/v1/users/{_LISTENER}/recommendations?limit=20"
    changed, floor, lost = [], [], 0
    with httpx.Client(
        base_url=stack.api, headers={"authorization": f"Bearer {token}"}, timeout=10
    ) as http:
        listened_at = int(time.time()) - 200 * plays
        client.submit_single_listen(_listen("artist 1", "track 11", listened_at))
        time.sleep(1)
        for _ in range(plays):
            listened_at += 180
            top = http.get(path).json()["recommendations"][0]
            started = time.perf_counter()
            client.submit_single_listen(_listen(top["artist"], top["title"], listened_at))
            answered = time.perf_counter()
            http.get(path)
            floor.append(time.perf_counter() - started)
            while True:
                shown = http.get(path).json()["recommendations"]
                now = time.perf_counter()
                if all(track["track_id"] != top["track_id"] for track in shown):
                    changed.append(now - started)
                    break
                if now - answered > _GIVE_UP:
                    lost += 1
                    break
            time.sleep(0.02)
    result = {"changed_ms": latency(changed), "floor_ms": latency(floor), "never_changed": lost}
    result["ratio_p50"] = round(result["changed_ms"]["p50"] / result["floor_ms"]["p50"], 2)  # type: ignore[index]
    result["ratio_p99"] = round(result["changed_ms"]["p99"] / result["floor_ms"]["p99"], 2)  # type: ignore[index]
    return result


def _listen(artist: str, title: str, listened_at: int) -> liblistenbrainz.Listen:
    return liblistenbrainz.Listen(track_name=title, artist_name=artist, listened_at=listened_at)
