"""The embedded servers: start, stop, restart with their data, whoever runs them."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import redis

from contracts.accounts import token_hash
from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.kafka import ensure_topics
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack.accounts import sole_admin
from infra.stack.apache_kafka import ApacheKafka
from infra.stack.ports import LOOPBACK, free_ports
from infra.stack.postgres import Postgres, release_stale_lock
from infra.stack.server import Server
from infra.stack.valkey import Valkey

pytestmark = pytest.mark.integration


@pytest.mark.each_broker
def test_broker_makes_topics_with_ids_of_their_own(broker: Server) -> None:
    configs = Topics("servers").configs()
    settings = Settings(kafka=broker.address)
    first = ensure_topics(settings, configs)
    assert set(first) == set(configs)
    assert len(set(first.values())) == len(configs)
    assert ensure_topics(settings, configs) == first


@pytest.mark.kafka
def test_a_broker_says_which_port_is_taken(tmp_path: Path) -> None:
    """The last line of its log is a part of a stack trace, or a warning about the shutdown."""
    port, controller = free_ports(2)
    server = ApacheKafka(tmp_path, port, controller)
    why = f"{LOOPBACK}:{controller}: .*already in use"
    with (
        socket.create_server((LOOPBACK, controller)),
        pytest.raises(StoreUnavailable, match=why),
    ):
        server.start()
    assert server.pid is None


def test_valkey_keeps_what_was_written_before_a_kill(tmp_path: Path) -> None:
    server = Valkey(tmp_path, free_ports(1)[0])
    server.start()
    with redis.Redis.from_url(server.address) as client:
        client.set("answer", "42")
    server.kill()
    server.start()
    with redis.Redis.from_url(server.address) as client:
        assert client.get("answer") == b"42"
    server.stop()
    assert server.pid is None


def test_a_pid_file_that_names_a_stranger_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """After a crash or a reboot the pid of the old server may be that of any program."""
    lock = tmp_path / "postmaster.pid"
    release_stale_lock(tmp_path)  # there is none
    for content in ("", "no number\n"):
        lock.write_text(content)
        release_stale_lock(tmp_path)
        assert lock.read_text() == content  # PostgreSQL decides what it means
    for folder, stranger in ((tmp_path.parent, True), (tmp_path, False)):
        with subprocess.Popen(["sleep", "60"], cwd=folder) as process:
            lock.write_text(f"{process.pid}\nrest\n")
            release_stale_lock(tmp_path)
            assert (lock.read_text() != f"{process.pid}\nrest\n") is stranger
            assert lock.read_text().endswith("\nrest\n")
            process.kill()


def test_postgres_keeps_rows_and_refuses_strangers(tmp_path: Path) -> None:
    server = Postgres(tmp_path, free_ports(1)[0], "other")
    server.start()
    try:
        with psycopg.connect(server.address) as connection:
            connection.execute("insert into accounts (user_id) values ('Ásdís')")
        server.kill()
        lock = server._data / "postmaster.pid"
        _, _, rest = lock.read_text().partition("\n")
        with subprocess.Popen(["sleep", "60"]) as stranger:  # has the pid of the server now
            lock.write_text(f"{stranger.pid}\n{rest}")
            server.start()
            stranger.kill()
        with psycopg.connect(server.address) as connection:
            assert connection.execute("select user_id from other.accounts").fetchall() == [
                ("Ásdís",)
            ]
        open_door = f"postgresql://postgres:wrong@127.0.0.1:{server.port}/postgres"
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(open_door)
    finally:
        server.stop()


def test_one_administrator_whatever_disk_init_runs_on(postgres: Postgres, tmp_path: Path) -> None:
    label = "made by segue up"

    def valid() -> list[bytes]:
        with psycopg.connect(postgres.address) as connection:
            question = "select token_hash from tokens where label = %s and revoked_at is null"
            return [row[0] for row in connection.execute(question, (label,))]

    with psycopg.connect(postgres.address) as connection:
        connection.execute("delete from tokens where label = %s", (label,))
    settings = [
        Settings(home=tmp_path / name, postgres_dsn=postgres.address) for name in ("a", "b")
    ]
    for each in settings:
        each.home.mkdir()
    first, second = settings
    token = sole_admin(first)
    assert token is not None
    assert sole_admin(first) == token
    assert sole_admin(second) is None  # made on another disk
    assert not second.paths.admin_token.exists()
    assert sole_admin(replace(second, admin_token=token)) == token
    assert valid() == [token_hash(token)]
    other = sole_admin(second, rotate=True)
    assert other is not None
    assert valid() == [token_hash(other)]
    assert second.paths.admin_token.read_text().strip() == other

    # The first host has the old token: it does not report it, nor make it valid again.
    assert sole_admin(first) is None
    with pytest.raises(ConfigurationError, match="SEGUE_ADMIN_TOKEN was revoked"):
        sole_admin(replace(first, admin_token=token))
    assert valid() == [token_hash(other)]


def test_a_rotation_that_is_killed_leaves_a_token_that_works(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres.address) as connection:
        connection.execute("delete from tokens where label = 'made by segue up'")
    settings = Settings(home=tmp_path, postgres_dsn=postgres.address)
    place = settings.paths.admin_token
    token = sole_admin(settings)
    assert token is not None

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:  # before the commit: nothing was done
        patched.setattr("infra.stack.accounts.token_row", killed)
        with pytest.raises(KeyboardInterrupt):
            sole_admin(settings, rotate=True)
    assert place.read_text().strip() == token
    assert sole_admin(settings) == token

    with monkeypatch.context() as patched:  # between the commit and the home
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            sole_admin(settings, rotate=True)
    other = sole_admin(settings)
    assert other not in (None, token)
    assert place.read_text().strip() == other
    assert list(tmp_path.iterdir()) == [place]
