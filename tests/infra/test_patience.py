"""A server that is starting is killed for silence, not for slowness; its own words explain it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from contracts.errors import StoreUnavailable
from infra.stack.patience import Patience
from infra.stack.ports import free_ports
from infra.stack.process import Process
from infra.stack.server import Server

SECONDS = 10.0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def process(tmp_path: Path) -> Process:
    log = tmp_path / "server.log"
    log.touch()
    return Process("server", [], log)


def test_silence_ends_it(process: Process) -> None:
    clock = Clock()
    patience = Patience(process, SECONDS, clock)
    clock.now = 0.9 * SECONDS
    assert not patience.over
    clock.now = SECONDS
    assert patience.over


def test_a_server_that_writes_to_its_log_is_given_more_time_but_not_for_ever(
    process: Process,
) -> None:
    clock = Clock()
    patience = Patience(process, SECONDS, clock)
    given = 0
    while not patience.over:
        clock.now += SECONDS
        with process.log.open("a") as log:
            log.write("recovering\n")
        given += 1
        assert given < 100
    assert given == 10


class Slow(Server):
    """A program that prints something and never answers."""

    name = "slow"
    program = "import time; print({text!r}, flush=True); time.sleep(60)"
    text = "reads its log"

    @property
    def address(self) -> str:
        return ""

    def healthy(self) -> bool:
        return False

    def _build(self) -> Process:
        code = self.program.format(text=self.text)
        return Process(self.name, [sys.executable, "-c", code], self.log)


def test_the_reason_is_of_this_start_not_of_an_earlier_one(tmp_path: Path) -> None:
    """The log is appended to: its last line may be hours old and harmless."""
    server = Slow(tmp_path, free_ports(1)[0])
    server.prepare()
    server.log.parent.mkdir(exist_ok=True)
    server.log.write_text("OutOfOrderSequenceException of yesterday\n")
    server.program = "import time; time.sleep(60)"
    server.launch()
    with pytest.raises(StoreUnavailable, match="wrote nothing") as refused:
        server.wait_healthy(0.2)
    assert "yesterday" not in str(refused.value)
    assert server.pid is None
