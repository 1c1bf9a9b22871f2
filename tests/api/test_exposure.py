"""What answers give away: to caches, to whoever asks, to a page of another server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import Request

from api.lastfm import browser
from api.lastfm.browser import _WAITING
from api.lastfm.errors import LastfmError
from api.public_address import public_address
from contracts.settings import Settings
from tests.api.conftest import World

ADA = {"authorization": "Token ada-token"}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/users/ada/recommendations", ADA),
        ("/v1/users/ada/plays", ADA),
        ("/v1/me", ADA),
        ("/1/user/ada/listens", ADA),
        ("/1/validate-token?token=ada-token", {}),
        ("/2.0/?method=user.getInfo&user=ada&sk=ada-token&format=json", {}),
        ("/v1/audit", ADA),
        ("/v1/nothing-here", ADA),
    ],
)
async def test_no_cache_keeps_an_answer_about_somebody(
    client: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    answer = await client.get(path, headers=headers)
    assert answer.headers["cache-control"] == "no-store"


async def test_what_says_itself_how_long_it_keeps_is_left_alone(client: httpx.AsyncClient) -> None:
    assert (await client.get("/favicon.ico")).headers.get_list("cache-control") == ["max-age=86400"]


async def test_readiness_names_no_address(client: httpx.AsyncClient, world: World) -> None:
    world.services.watcher.state["kafka"] = "Kafka at 10.0.0.7:9092: [::1]:9093 broker.lan:19092"
    said = (await client.get("/readyz")).json()["dependencies"]["kafka"]
    assert said == "Kafka at (address): (address) (address)"


def request(host: str, server: tuple[str, int] = ("127.0.0.1", 8000)) -> Request:
    headers = [(b"host", host.encode())]
    return Request(
        {
            "type": "http", "method": "GET", "scheme": "http", "path": "/", "root_path": "",
            "query_string": b"", "headers": headers, "server": server,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("host", "public", "shown"),
    [
        ("evil.example", "", "http://127.0.0.1:8000/"),
        ("evil.example:80", "", "http://127.0.0.1:8000/"),
        ("evil.example", "https://music.example/segue/", "https://music.example/segue/"),
        ("192.168.1.5:8000", "", "http://192.168.1.5:8000/"),
        ("[::1]:8000", "", "http://[::1]:8000/"),
        ("localhost:8123", "", "http://localhost:8123/"),
    ],
)
def test_a_name_in_the_host_header_is_nobodys_address(host: str, public: str, shown: str) -> None:
    """As when a page lets its own name resolve to this machine."""
    assert str(public_address(request(host), Settings(public_url=public))) == shown


class Login:
    """Redis with one login that waits for consent."""

    def __init__(self) -> None:
        self.value: bytes | None = _WAITING + b"192.168.1.5"

    async def get(self, _: str) -> bytes | None:
        return self.value

    async def set(self, _key: str, value: bytes, **_options: Any) -> bool:
        self.value = value
        return True

    async def delete(self, _: str) -> int:
        raise AssertionError("a login that nobody has agreed to was used up")


@pytest.fixture
async def login(world: World, monkeypatch: pytest.MonkeyPatch) -> Login:
    login = Login()
    monkeypatch.setattr(world.services, "redis", login)
    return login


async def test_the_page_of_consent_says_who_asks(client: httpx.AsyncClient, login: Login) -> None:
    page = await client.get("/api/auth/?token=x")
    assert "192.168.1.5" in page.text
    assert "<form" in page.text
    login.value = None
    page = await client.get("/api/auth/?token=x")
    assert "expired" in page.text
    assert "<form" not in page.text


async def test_asking_for_the_session_too_early_does_not_use_the_login_up(
    world: World, login: Login
) -> None:
    with pytest.raises(LastfmError, match="not authorized"):
        await browser.redeem_token(world.services, "x")
    assert login.value is not None


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://segue", 200), (None, 200), ("https://evil.example", 403), ("null", 403)],
)
async def test_the_form_of_consent_is_taken_from_our_own_page_alone(
    client: httpx.AsyncClient, login: Login, origin: str | None, status: int
) -> None:
    headers = {} if origin is None else {"origin": origin}
    form = {"token": "x", "key": "ada-token"}
    answer = await client.post("/api/auth/", data=form, headers=headers)
    assert answer.status_code == status, answer.text


async def test_refusals_are_put_on_record_once_an_hour(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Any] = []

    async def record(row: Any) -> None:
        rows.append(row)

    monkeypatch.setattr(world.services.audit, "record", record)
    monkeypatch.setattr(world.services.audit, "_noted", {})
    for _ in range(3):
        for path in ("/v1/users/bob/recommendations", "/v1/users/bob/plays", "/v1/audit"):
            assert (await client.get(path, headers=ADA)).status_code == 403
    said = [(row["actor"], row["subject"], row["outcome"], row["detail"]) for row in rows]
    assert said == [
        ("ada", "bob", "refused", '{"route":"/v1/users/{user}/recommendations"}'),
        ("ada", "bob", "refused", '{"route":"/v1/users/{user}/plays"}'),
        ("ada", "ada", "refused", '{"route":"/v1/audit"}'),
    ]


async def test_reading_which_plays_led_to_a_list_is_put_on_record(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Any] = []

    async def record(row: Any) -> None:
        rows.append((row["actor"], row["action"], row["subject"]))

    monkeypatch.setattr(world.services.audit, "record", record)
    monkeypatch.setattr(world.services.audit, "_noted", {})
    admin = {"authorization": "Token admin-token"}
    for user in ("ada", "admin"):
        path = f"/v1/users/{user}/recommendations"
        await client.get(path, headers=admin)
        assert rows == ([] if user == "ada" else [("admin", "data.read", "ada")])
        await client.get(f"{path}?explain=true", headers=admin)
    await client.get("/v1/stations?user=bob&tag=rock", headers=admin)
    assert rows == [("admin", "data.read", "ada"), ("admin", "data.read", "bob")]
