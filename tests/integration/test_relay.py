"""Relays on real stores: plays arrive at both services, despite failures and kills."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from api.app import create_app
from api.services import Services
from contracts.ids import event_id
from infra.cli.commands.relay import app as relay_command
from infra.operations.erasure.run import run_pending
from infra.stack.process import wait_until
from tests.integration.conftest import RunningStack
from tests.scrobble_services import KEY, SHARED_SECRET, ScrobbleServices

pytestmark = pytest.mark.integration

NOW = int(time.time()) - 3_000


@pytest.fixture
def services() -> Iterator[ScrobbleServices]:
    with ScrobbleServices() as running:
        yield running


@pytest.fixture
def relay(stack: RunningStack, services: ScrobbleServices) -> Iterator[Callable[[], None]]:
    """The worker, running; calling the value starts it again after a kill."""

    def start() -> None:
        stack.start_worker(
            "relay",
            SEGUE_RELAY="1",
            SEGUE_RELAY_LISTENBRAINZ_URL=services.listenbrainz,
            SEGUE_RELAY_LASTFM_URL=services.lastfm,
            SEGUE_RELAY_LASTFM_KEY=KEY,
            SEGUE_RELAY_LASTFM_SECRET=SHARED_SECRET,
            SEGUE_RELAY_HOLD_SECONDS="1.5",
        )

    start()
    yield start
    stack.workers.pop("relay").stop()


class Api:
    """An API process of the deployment in which relays are switched on, for one listener."""

    def __init__(self, stack: RunningStack, user: str) -> None:
        self.user = user
        self._settings = replace(stack.settings, relay=True, port=0)
        self._token = stack.token_for(user)

    def call(self, method: str, path: str, token: str = "", **sent: Any) -> httpx.Response:
        """Return the answer to one call, with the listener's own token by default.

        A 503 is tried again, as clients do: each call opens connections to PostgreSQL, for which
        the API waits one second, and a busy machine may take longer.
        """

        async def call() -> httpx.Response:
            services = Services(self._settings)
            transport = httpx.ASGITransport(app=create_app(services))
            await services.open()
            try:
                headers = {"authorization": f"Bearer {token or self._token}"}
                async with httpx.AsyncClient(transport=transport, base_url="http://segue") as made:
                    return await made.request(method, path, headers=headers, **sent)
            finally:
                await services.close()

        end = time.monotonic() + 60
        while (answer := asyncio.run(call())).status_code == 503 and time.monotonic() < end:
            time.sleep(0.5)
        return answer

    def shown(self, service: str = "listenbrainz") -> dict[str, Any]:
        """Return a relay of the listener."""
        listed = self.call("GET", f"/v1/users/{self.user}/relays").json()["relays"]
        found: dict[str, Any] = next(each for each in listed if each["service"] == service)
        return found


@pytest.fixture
def api(stack: RunningStack) -> Iterator[Api]:
    """A listener of the test's own, whose relays are gone afterwards."""
    made = Api(stack, f"rena-{uuid4().hex[:8]}")
    yield made
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        connection.execute("delete from relays where user_id = %s", (made.user,))


def post(stack: RunningStack, user: str, **play: Any) -> None:
    """Post one play for a listener."""
    plays = [{"user": user, "artist": "Neu!", "source": "mpd/0.24", "duration_ms": 240_000, **play}]
    headers = {"authorization": f"Bearer {stack.admin_token}"}
    answer = httpx.post(f"{stack.api}/v1/plays", headers=headers, json={"plays": plays}, timeout=60)
    assert answer.status_code == 202, answer.text


def tracks(services: ScrobbleServices, account: str) -> list[str]:
    """Return the titles an account has taken."""
    return [track for _, _, track in services.plays.get(account, [])]


def test_a_relay_is_made_paused_and_removed(
    stack: RunningStack, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/v1/users/{api.user}/relays"
    empty = api.call("GET", url).json()
    assert (empty["enabled"], empty["relays"]) == (True, [])
    assert {each["service"] for each in empty["services"]} == {"listenbrainz", "lastfm"}
    for method, path, body, status in (
        ("PUT", f"{url}/listenbrainz", {}, 400),
        ("PUT", f"{url}/listenbrainz", {"secret": "two words"}, 400),
        ("PUT", f"{url}/listenbrainz", {"state": "paused"}, 404),
        ("PUT", f"{url}/myspace", {"secret": "a"}, 404),
        ("DELETE", f"{url}/listenbrainz", None, 404),
    ):
        answer = api.call(method, path, json=body)
        assert answer.status_code == status, (path, body, answer.text)
    off = httpx.put(
        f"{stack.api}{url}/lastfm",
        headers={"authorization": f"Bearer {stack.admin_token}"},
        json={"secret": "a"},
        timeout=60,
    )
    assert (off.status_code, off.json()["error"]["code"]) == (409, "relays-off")
    made = api.call("PUT", f"{url}/lastfm", json={"secret": "a-secret", "state": "paused"}).json()
    assert (made["state"], made["name"], made["waiting"]) == ("paused", "Last.fm", 0)
    assert api.call("PUT", f"{url}/lastfm", json={"state": "active"}).json()["state"] == "active"
    assert api.call("DELETE", f"{url}/lastfm").status_code == 204
    # The command line does the same; the secret comes from a file.
    monkeypatch.setenv("SEGUE_POSTGRES_DSN", stack.settings.postgres_dsn)
    monkeypatch.setenv("SEGUE_RELAY", "1")
    (tmp_path / "secret").write_text("b-secret\n")
    for arguments, code in (
        (["add", api.user, "lastfm", "--secret-file", str(tmp_path / "secret")], 0),
        (["pause", api.user, "lastfm"], 0),
        (["status", api.user, "--json"], 0),
        (["list"], 0),
        (["resume", api.user, "lastfm"], 0),
        (["remove", api.user, "lastfm"], 0),
        (["remove", api.user, "lastfm"], 1),
        (["add", "nobody-here", "lastfm"], 1),
    ):
        result = CliRunner().invoke(relay_command, arguments, input="c\n")
        assert (result.exit_code == 0) == (code == 0), (arguments, result.output)
        assert "secret" not in result.output
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        rows = connection.execute(
            "select action, detail from audit where subject = pseudonym(%s)"
            " and action like 'relay.%%' order by seq",
            (api.user,),
        ).fetchall()
    actions = ["set", "pause", "resume", "remove", "set", "pause", "resume", "remove"]
    assert [action for action, _ in rows] == [f"relay.{action}" for action in actions]
    assert {detail for _, detail in rows} == {'{"service":"lastfm"}'}


def test_plays_arrive_once_through_failures_and_a_kill(
    stack: RunningStack, services: ScrobbleServices, api: Api, relay: Callable[[], None]
) -> None:
    post(stack, api.user, title="Before", played_at=(NOW - 600) * 1000)
    stack.wait_applied()
    token = {"secret": "lb-token"}
    assert (
        api.call("PUT", f"/v1/users/{api.user}/relays/listenbrainz", json=token).status_code == 200
    )
    assert wait_until(lambda: api.shown()["account"] == "ada-at-lb", 90, 0.3)
    worker = stack.workers["relay"]

    def kill() -> None:
        assert worker.pid
        os.kill(worker.pid, signal.SIGKILL)

    busy = {"Retry-After": "1"}
    services.plan.extend([(429, busy, {"code": 429}), (503, {}, b"<html>"), kill])
    post(stack, api.user, title="Hallogallo", played_at=NOW * 1000)
    post(stack, api.user, title="Imported", played_at=(NOW + 300) * 1000, imported_from="lastfm")
    post(stack, api.user, title="Skipped", played_at=(NOW + 400) * 1000, ms_played=2_000)
    # Another client reports the same play: the service gets it once.
    post(stack, api.user, title="Hallogallo", played_at=(NOW + 4) * 1000, source="other/1")
    assert wait_until(lambda: worker.exit_code is not None, 90, 0.1)
    taken = (NOW, "Neu!", "Hallogallo")
    assert services.plays["ada-at-lb"] == [taken]  # it was accepted, and nobody wrote that down
    relay()
    assert wait_until(lambda: api.shown()["sent"] == 1, 90, 0.3), api.shown()
    assert services.plays["ada-at-lb"] == [taken]
    assert len(services.bodies) == 4
    assert all(body == services.bodies[0] for body in services.bodies)
    assert (api.shown()["waiting"], api.shown()["refused"]) == (0, 0)


def test_what_a_service_refuses(
    stack: RunningStack, services: ScrobbleServices, api: Api, relay: Callable[[], None]
) -> None:
    """A bad play costs itself; a bad token stops the relay, which reports the reason."""
    put = f"/v1/users/{api.user}/relays/listenbrainz"
    api.call("PUT", put, json={"secret": "lb-token", "state": "paused"})
    for i, title in enumerate(("Super", "Poison", "Lila Engel")):
        post(stack, api.user, title=title, played_at=(NOW + 600 + 300 * i) * 1000)
    assert wait_until(lambda: api.shown()["waiting"] == 3, 90, 0.3)
    api.call("PUT", put, json={"state": "active"})
    assert wait_until(lambda: api.shown()["sent"] == 2, 90, 0.3), api.shown()
    assert tracks(services, "ada-at-lb")[-2:] == ["Super", "Lila Engel"]
    assert (api.shown()["refused"], api.shown()["waiting"]) == (1, 0)
    del services.tokens["lb-token"]
    post(stack, api.user, title="Isi", played_at=(NOW + 1800) * 1000)
    assert wait_until(lambda: api.shown()["state"] == "refused", 90, 0.3)
    assert "Invalid authorization token" in api.shown()["reason"]
    assert api.shown()["waiting"] == 1
    services.tokens["lb-new"] = "ada-at-lb"
    assert api.call("PUT", put, json={"secret": "lb-new"}).json()["state"] == "active"
    assert wait_until(lambda: tracks(services, "ada-at-lb")[-1] == "Isi", 90, 0.3)


def test_lastfm_and_forgetting(
    stack: RunningStack,
    services: ScrobbleServices,
    api: Api,
    relay: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for service, secret in (("listenbrainz", "lb-token"), ("lastfm", "lfm-key")):
        url = f"/v1/users/{api.user}/relays/{service}"
        assert api.call("PUT", url, json={"secret": secret}).status_code == 200
    for i, title in enumerate(("Seeland", "Ignored", "E-Musik")):
        post(stack, api.user, title=title, played_at=(NOW + 2100 + 200 * i) * 1000)
    assert wait_until(lambda: api.shown("lastfm")["sent"] == 2, 90, 0.3), api.shown("lastfm")
    assert tracks(services, "ada-at-lfm") == ["Seeland", "E-Musik"]
    assert api.shown("lastfm")["account"] == "ada-at-lfm"
    monkeypatch.setenv("SEGUE_POSTGRES_DSN", stack.settings.postgres_dsn)
    shown = CliRunner().invoke(relay_command, ["status", api.user, "--refused", "--json"])
    assert '"Ignored"' in shown.output
    with psycopg.connect(stack.settings.postgres_dsn, autocommit=True) as connection:
        held = connection.execute("select held_rows('relays', %s)::text", (api.user,)).fetchall()
        assert len(held) == 2
        assert not [row for (row,) in held if "lfm-key" in row or "lb-token" in row]
    # One play is forgotten while it waits: it is not sent any more.
    api.call("PUT", f"/v1/users/{api.user}/relays/lastfm", json={"state": "paused"})
    second = NOW + 2800
    post(stack, api.user, title="Hero", played_at=second * 1000)
    assert wait_until(lambda: api.shown("lastfm")["waiting"] == 1, 90, 0.3)
    stack.wait_applied()
    event = event_id(api.user, second * 1000, "Neu!", "Hero")
    stack.finish_erasures()
    deleted = api.call("DELETE", f"/v1/users/{api.user}/plays/{event}")
    assert deleted.status_code == 202, deleted.text
    assert run_pending(stack.settings, settle=0) == (1, 1)
    assert api.shown("lastfm")["waiting"] == 0
    assert api.call("DELETE", f"/v1/users/{api.user}").status_code == 202
    assert run_pending(stack.settings, settle=0) == (1, 1)
    with psycopg.connect(stack.settings.postgres_dsn) as connection:
        for table in ("relays", "relayed_plays"):
            query = f"select count(*) from {table} where user_id = %s"
            left = connection.execute(query.encode(), (api.user,)).fetchall()
            assert left == [(0,)], table
    said = stack.settings.paths.log("relay").read_text()
    assert not [secret for secret in ("lb-token", "lb-new", "lfm-key") if secret in said]
