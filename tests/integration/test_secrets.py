"""Nothing secret reaches a log or a command line, with any request, valid or not."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import httpx
import psutil
import pytest
import redis

from contracts.settings import Settings
from tests.integration.conftest import RunningStack

pytestmark = pytest.mark.integration


def secrets_of(settings: Settings, *more: str) -> list[str]:
    """Return what must not be seen."""
    password = unquote(urlsplit(settings.postgres_dsn).password or "")
    assert len(password) > 10
    redis_password = urlsplit(settings.redis_url).password or ""
    assert len(redis_password) > 10
    return [settings.admin_token, password, redis_password, *more]


def use(stack: RunningStack, token: str) -> None:
    """Send a token every way there is, rightly and wrongly."""
    headers = {"authorization": f"Token {token}"}
    login = {"method": "auth.getMobileSession", "username": "sonja", "password": token}
    with httpx.Client(base_url=stack.api, timeout=60) as client:
        client.get("/1/validate-token", params={"token": token})
        client.post("/1/submit-listens", headers=headers, content=token)
        client.post("/v1/plays", headers=headers, json={"plays": [{"artist": token}]})
        client.post("/2.0/", data=login)
        client.post("/2.0/", data={**login, "username": "another"})
        client.post("/2.0/", data={"method": "track.scrobble", "sk": token, "artist": "\x00"})
        client.post("/audioscrobbler/protocol_1.2", data={"s": token})
        client.post("/api/auth/", data={"token": "x", "key": token})
        client.get(f"/v1/users/sonja/recommendations?limit=x&token={token}", headers=headers)
        client.get(f"/nothing/{token}")


def test_no_log_holds_a_secret(stack: RunningStack) -> None:
    token = stack.token_for("sonja")
    use(stack, token)
    use(stack, stack.admin_token)
    metrics = httpx.get(f"{stack.api}/metrics", timeout=60).text
    logs = sorted((stack.home / "logs").rglob("*.log"))
    assert any(path.stat().st_size for path in logs)
    for secret in secrets_of(stack.settings, token):
        assert secret not in metrics
        for path in logs:
            assert secret not in path.read_text(errors="replace"), path.name


def test_the_feature_store_answers_nobody_without_its_password(stack: RunningStack) -> None:
    port = urlsplit(stack.settings.redis_url).port
    assert port is not None
    with redis.Redis(port=port) as anybody, pytest.raises(redis.AuthenticationError):
        anybody.flushall()
    guesser = redis.Redis(port=port, password="guess")
    with guesser, pytest.raises(redis.AuthenticationError):
        guesser.ping()


def test_no_command_line_holds_a_secret(stack: RunningStack) -> None:
    pids = [server.pid for server in stack.servers.values()]
    pids += [worker.pid for worker in stack.workers.values()]
    lines = [" ".join(psutil.Process(pid).cmdline()) for pid in pids if pid is not None]
    assert len(lines) >= 5
    for secret in secrets_of(stack.settings):
        assert not any(secret in line for line in lines)
