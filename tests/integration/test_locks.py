"""A lock on a table of the history takes away the history, and nothing else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from infra.stack.process import wait_until
from infra.stack.progress import heartbeats
from tests.integration.conftest import RunningStack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

#: More than the API has connections for the history.
READERS = 30


def test_a_locked_history_leaves_lists_tokens_and_readiness(stack: RunningStack) -> None:
    user = "locked-out"
    token = stack.token_for(user)
    with _client(stack, token) as client:
        assert _post(client, user, 1).status_code == 202
        stack.wait_applied()
        assert client.get(f"/1/user/{user}/listens").json()["payload"]["count"] == 1
        with psycopg.connect(stack.settings.postgres_dsn) as holder:
            holder.execute("lock table plays in access exclusive mode")
            with ThreadPoolExecutor(READERS) as pool:
                readers = [
                    pool.submit(client.get, f"/1/user/{user}/listens") for _ in range(READERS)
                ]
                _goes_on(stack, user)
                # Every reader is answered while the lock is still held.
                assert {reader.result().status_code for reader in readers} == {503}
            assert _post(client, user, 2).status_code == 202
            assert wait_until(lambda: _sink(stack).state == "waiting", 90)
            assert "lock" in _sink(stack).detail
            _goes_on(stack, user)
            holder.rollback()
        assert wait_until(lambda: _sink(stack).state == "running", 90)
        stack.wait_applied()
        assert client.get(f"/1/user/{user}/listens").json()["payload"]["count"] == 2


def _goes_on(stack: RunningStack, user: str) -> None:
    """Check what does not need the history, with a token no process has seen yet."""
    with _client(stack, stack.token_for(user)) as client:
        assert client.get(f"/v1/users/{user}/recommendations").status_code == 200
        assert client.get("/1/validate-token").json()["valid"] is True
    with _client(stack, "nobody's") as client:
        assert client.get(f"/v1/users/{user}/recommendations").status_code == 401
    for _ in range(4):  # over several turns of the watcher
        assert (
            httpx.get(f"{stack.api}/readyz", params={"scope": "api"}, timeout=60).status_code == 200
        )
        time.sleep(0.5)


def _post(client: httpx.Client, user: str, number: int) -> httpx.Response:
    play = {
        "user_id": user,
        "artist": "Air",
        "title": f"Locked {number}",
        "played_at": int(time.time() * 1000) - 1000 * number,
        "source": "test",
    }
    return client.post("/v1/plays", json={"plays": [play]})


def _client(stack: RunningStack, token: str) -> httpx.Client:
    return httpx.Client(base_url=stack.api, headers={"authorization": f"Token {token}"}, timeout=60)


def _sink(stack: RunningStack) -> Any:
    return heartbeats(stack.settings)["history-sink"]
