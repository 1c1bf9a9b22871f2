"""PostgreSQL runs when we are root, even where nobody else can reach its files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psutil
import pytest

from infra.stack import postgres as module
from infra.stack import unprivileged
from infra.stack.ports import free_ports
from infra.stack.postgres import Postgres

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has this problem"),
]


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder


def test_user_namespace_keeps_the_data_in_a_private_home(tmp_path: Path) -> None:
    server = Postgres(_private(tmp_path / "private") / "home", free_ports(1)[0])
    server.start()
    try:
        assert (server.folder / "data" / "PG_VERSION").exists()
    finally:
        server.stop()


def test_without_namespaces_data_and_programs_move_where_nobody_reaches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = _private(tmp_path / "private")
    site = private / "site"
    binaries = module.programs()
    for part in (binaries.parent.relative_to(module._SITE), f"{module._PACKAGE.name}.libs"):
        shutil.copytree(module._SITE / part, site / part)
    succeeds = unprivileged._succeeds

    def without_namespaces(command: list[str], *who: int) -> bool:
        return command[0] != "unshare" and succeeds(command, *who)

    monkeypatch.setattr(unprivileged, "_succeeds", without_namespaces)
    monkeypatch.setattr(module, "_SITE", site)
    monkeypatch.setattr(module, "_PACKAGE", site / module._PACKAGE.name)
    server = Postgres(private / "home", free_ports(1)[0])
    who = None
    try:
        server.start()
        who = server._identity
        assert who is not None
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().effective == who.user != 0
        assert not who.data.is_relative_to(private)
        assert not who.programs.is_relative_to(private)
        server.kill()
        server.start()  # finds the folder again that it moved to
        assert server._identity is not None
        assert server._identity.data == who.data
    finally:
        server.stop()
        if who is not None:
            shutil.rmtree(who.data.parent)
            shutil.rmtree(who.programs)
