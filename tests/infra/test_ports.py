"""Choosing ports."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.stack import ports
from infra.stack.home import Home
from infra.stack.ports import answers, free_ports, is_free, trouble


def test_free_ports_are_different_and_free() -> None:
    chosen = free_ports(20)
    assert len(set(chosen)) == 20
    assert all(is_free(port) for port in chosen)


def test_no_outgoing_connection_takes_a_port_that_was_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Programs open connections before a server listens on the port that was chosen for it."""
    monkeypatch.setattr(ports, "_outgoing", lambda: 31_000)
    assert max(free_ports(50)) < 31_000
    assert 0 < ports._outgoing() < 65_536


def test_processes_with_one_seed_choose_different_ports() -> None:
    chosen = []
    for _ in range(2):
        random.seed(1)
        chosen.append(free_ports(5))
    assert chosen[0] != chosen[1]


def test_no_port_is_chosen_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other servers choose their ports before the first server listens on its port."""
    twice = (port for port in range(20_000, 30_000) for _ in range(2))
    monkeypatch.setattr(random.SystemRandom, "randrange", lambda *_: next(twice))
    assert free_ports(1) != free_ports(1)


@pytest.mark.skipif(sys.platform != "linux", reason="processes see reservations on Linux only")
def test_a_port_that_another_process_chose_is_not_chosen() -> None:
    code = "from infra.stack.ports import free_ports; print(free_ports(1)[0], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        port = int(other.stdout.readline())
        assert is_free(port)
        assert not ports.reserve(port)
        other.communicate("\n")
    assert ports.reserve(port)


def test_old_reservations_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is an open file."""
    monkeypatch.setattr(ports, "_MOST_RESERVED", 3)
    monkeypatch.setattr(ports, "_reserved", {})
    first, *_ = free_ports(4)
    assert len(ports._reserved) == 3
    assert first not in ports._reserved
    assert ports.reserve(first)


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
        assert answers(port)
    assert is_free(port)
    assert not answers(port)


def test_trouble_is_named_for_what_it_is() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert trouble(server.getsockname()[1]) == "is taken"
    assert "0 to 65535" in trouble(70_000)
    assert "cannot be used" in trouble(8000, "192.0.2.1")  # an address of no machine


def test_ports_are_remembered_until_somebody_takes_one(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = home.choose_ports(("a", "b"))
    assert home.choose_ports(("a", "b")) == first
    with socket.socket() as server:
        server.bind(("127.0.0.1", first["a"]))
        server.listen()
        second = home.choose_ports(("a", "b"))
    assert second["a"] != first["a"]
    assert second["b"] == first["b"]
