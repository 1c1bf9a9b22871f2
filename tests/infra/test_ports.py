"""Choosing ports."""

from __future__ import annotations

import random
import socket
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
    """A server listens seconds after its port was chosen; connections are made all the time."""
    monkeypatch.setattr(ports, "_outgoing", lambda: 31_000)
    assert max(free_ports(50)) < 31_000
    assert 0 < ports._outgoing() < 65_536


def test_processes_with_one_seed_choose_different_ports() -> None:
    chosen = []
    for _ in range(2):
        random.seed(1)
        chosen.append(free_ports(5))
    assert chosen[0] != chosen[1]


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
