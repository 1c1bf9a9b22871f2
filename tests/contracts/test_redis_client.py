"""One address names the kind of Redis; an error shows a wrong one without its password."""

from __future__ import annotations

import asyncio
import re
import socket
import socketserver
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
import uvloop
from redis.asyncio import SSLConnection
from redis.exceptions import AuthenticationError, ConnectionError, MovedError, RedisClusterException

from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.redis_client import (
    CLUSTER,
    SENTINEL,
    SINGLE,
    async_client,
    client,
    connection_to,
    connections,
    parse,
    queueing_client,
    trouble,
)


def test_each_kind_has_its_address() -> None:
    single = parse("redis://:secret@127.0.0.1:6379/3")
    assert (single.kind, single.nodes, single.login["db"]) == (SINGLE, (), 3)
    guarded = parse("redis+sentinel://ada:s%40d@a:1,[::1]:2/main/4?sentinel_password=other")
    assert (guarded.kind, guarded.nodes, guarded.name) == (SENTINEL, (("a", 1), ("::1", 2)), "main")
    assert guarded.login == {"username": "ada", "password": "s@d", "db": 4}
    assert guarded.guards["password"] == "other"
    spread = parse("rediss+cluster://:secret@a:1, b:2")
    assert (spread.kind, spread.nodes) == (CLUSTER, (("a", 1), ("b", 2)))
    assert spread.login == {"password": "secret", "ssl": True}
    assert "secret" not in repr(spread)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://a:1", "cannot be read"),
        ("redis+cluster://:secret@a", "'a' is not HOST:PORT"),
        ("redis+cluster://:secret@a:1,", "'' is not HOST:PORT"),
        ("redis+cluster://:secret@a:1/2", "database 0 only"),
        ("redis+sentinel://:secret@a:1", "names Sentinels but no primary"),
        ("rediss://:secret@a:1/0?ssl_ca_certs=/none.pem", "there is no such file"),
        ("redis://:secret@a:1/0?socket_timeout=soon", "socket_timeout"),
    ],
)
def test_a_wrong_address_is_one_line(url: str, message: str) -> None:
    for make in (client, async_client, parse):
        with pytest.raises(ConfigurationError, match=message) as caught:
            make(url)
        assert "SEGUE_REDIS_URL" in str(caught.value)
        assert "secret" not in str(caught.value)


def test_encryption_and_its_authority_reach_every_connection(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    query = f"?ssl_ca_certs={authority}"
    single = connections(f"rediss://:pw@a:1/0{query}").make_connection()
    guarded = connections(f"rediss+sentinel://:pw@a:1/main{query}").make_connection()
    node = connection_to(f"rediss+cluster://:pw@a:1{query}", "b", 2)
    for made in (single, guarded, node):
        assert isinstance(made, SSLConnection)
        assert made.ssl_context.ca_certs == str(authority)
        assert made.password == "pw"
    assert (node.host, node.port) == ("b", 2)
    waiting = queueing_client(f"rediss://a:1/0{query}", most=3, wait=1.0)
    assert waiting.connection_pool.max_connections == 3


def test_what_waiting_does_not_mend_is_a_wrong_setting() -> None:
    assert isinstance(trouble(ConnectionError("refused")), StoreUnavailable)
    moved = trouble(MovedError("9187 127.0.0.1:7001"))
    assert isinstance(moved, ConfigurationError)
    assert "redis+cluster://" in str(moved)
    alone = trouble(RedisClusterException("Cluster mode is not enabled on this node"))
    assert isinstance(alone, ConfigurationError)
    assert isinstance(trouble(AuthenticationError("invalid password")), ConfigurationError)


def test_no_other_file_makes_a_client() -> None:
    root = Path(__file__).resolve().parents[2]
    made = {
        str(path.relative_to(root))
        for package in ("contracts", "streams", "batch", "api", "web", "infra")
        for path in (root / package).rglob("*.py")
        if any(call in path.read_text() for call in ("from_url(", "Redis(", "RedisCluster("))
    }
    # The embedded server asks itself whether it is there.
    assert made == {"contracts/redis_client.py", "infra/stack/valkey.py"}


def test_a_reset_connection_is_an_error_of_redis_on_uvloop() -> None:
    """Servers that are killed, and firewalls, reset a connection while nobody reads from it."""

    async def main(server: _Resetting) -> None:
        redis = async_client(
            f"redis://127.0.0.1:{server.server_address[1]}?protocol=2&socket_timeout=5"
        )
        connection = await redis.connection_pool.get_connection()  # type: ignore[no-untyped-call]

        async def lose() -> None:
            server.was_reset.clear()
            await connection.send_command("RESET")
            assert await asyncio.to_thread(server.was_reset.wait, 10)
            await asyncio.sleep(0.01)  # the loop looks at its sockets

        await lose()
        with pytest.raises(ConnectionError, match="lost"):
            await connection.send_command("GET", "key")
        await connection.connect()
        await lose()
        await redis.connection_pool.release(connection)
        assert await redis.get("key") == b"OK", "the pool connects again"
        await redis.aclose()

    with _Resetting(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main(server))
        server.shutdown()


class _Resetting(socketserver.ThreadingTCPServer):
    """Answers OK to each command, but resets the connection that sends RESET."""

    def __init__(self, *place: Any) -> None:
        super().__init__(*place)
        self.was_reset = threading.Event()


class _Handler(socketserver.BaseRequestHandler):
    server: _Resetting

    def handle(self) -> None:
        while command := self.request.recv(1000):
            if b"\r\nRESET\r\n" in command:
                at_once = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                self.request.close()
                self.server.was_reset.set()
                return
            self.request.sendall(b"+OK\r\n" * len(re.findall(rb"^\*\d", command, re.MULTILINE)))
