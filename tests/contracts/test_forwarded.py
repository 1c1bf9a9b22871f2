"""X-Forwarded-For counts from trusted proxies only, by address, network and host name."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from contracts import forwarded
from contracts.forwarded import Forwarded


async def seen(app: Forwarded, peer: str, *headers: tuple[bytes, bytes]) -> tuple[str, str]:
    """Return address and scheme of a request as the application inside sees it."""
    scope: dict[str, Any] = {"type": "http", "client": (peer, 5), "scheme": "http"}
    scope["headers"] = list(headers)
    await app(scope, None, None)  # type: ignore[arg-type]
    return scope["client"][0], scope["scheme"]


async def inner(*_: object) -> None:
    pass


def named(*addresses: str) -> tuple[bytes, bytes]:
    return b"x-forwarded-for", ", ".join(addresses).encode()


@pytest.mark.parametrize(
    ("trusted", "peer", "address"),
    [
        ("127.0.0.1,::1", "127.0.0.1", "203.0.113.7"),
        ("127.0.0.1,::1", "::1", "203.0.113.7"),
        ("127.0.0.1,::1", "198.51.100.4", "198.51.100.4"),
        (" 10.1.0.9/16 , ", "10.1.200.3", "203.0.113.7"),
        ("10.1.0.0/16", "10.2.0.1", "10.2.0.1"),
        ("10.1.0.0/16", "127.0.0.1", "127.0.0.1"),
        ("", "127.0.0.1", "127.0.0.1"),
    ],
)
async def test_only_a_trusted_proxy_is_believed(trusted: str, peer: str, address: str) -> None:
    assert (await seen(Forwarded(inner, trusted), peer, named("203.0.113.7")))[0] == address


async def test_what_a_client_wrote_before_the_proxy_is_not_believed() -> None:
    app = Forwarded(inner, "127.0.0.1,10.1.0.1")
    header = named("6.6.6.6", "203.0.113.7", "10.1.0.1")
    https = (b"x-forwarded-proto", b"https")
    assert await seen(app, "127.0.0.1", header, https) == ("203.0.113.7", "https")
    assert await seen(app, "203.0.113.7", header, https) == ("203.0.113.7", "http")
    assert await seen(app, "127.0.0.1") == ("127.0.0.1", "http")


async def test_the_addresses_of_a_name_are_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"web": ["10.1.0.1", "2001:db8::1"]}
    asked: list[str] = []

    def look_up(name: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(name)
        if name not in known:
            raise socket.gaierror(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in known[name]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    app = Forwarded(inner, "web,nowhere,*,10.9.0.0/16")
    assert (await seen(app, "10.1.0.1"))[0] == "10.1.0.1"
    assert asked == [], "a request without the header needs no name"
    for peer in ("10.1.0.1", "2001:db8::1", "10.9.0.4"):
        assert (await seen(app, peer, named("203.0.113.7")))[0] == "203.0.113.7"
    assert (await seen(app, "10.1.0.2", named("203.0.113.7")))[0] == "10.1.0.2"
    assert asked == ["web", "nowhere", "*"], "one look for many requests"
    monkeypatch.setattr(forwarded, "EVERY_SECONDS", 0.0)
    app._due = 0.0
    known["web"] = ["10.1.0.2"]
    assert (await seen(app, "10.1.0.2", named("203.0.113.7")))[0] == "203.0.113.7"
    assert (await seen(app, "10.1.0.1", named("203.0.113.7")))[0] == "10.1.0.1"
    del known["web"]
    assert (await seen(app, "10.1.0.2", named("203.0.113.7")))[0] == "10.1.0.2"
