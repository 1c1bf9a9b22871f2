"""What the supervisor does when something dies, by a clock of the test's own."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.errors import StoreUnavailable
from contracts.heartbeat import STUCK, Heartbeat
from infra.stack.home import Home
from infra.stack.restart import FIRST_DELAY
from infra.stack.standstill import PATIENCE
from infra.stack.supervisor import Supervisor


class Part:
    """A process or server that dies on request."""

    def __init__(self, journal: list[str], name: str, pid: int) -> None:
        self.journal, self.name, self.pid = journal, name, pid
        self.exit_code: int | None = None
        self.process = self
        self.log = f"{name}.log"
        self.broken = False
        self.waited: list[float] = []
        self.answers = threading.Event()
        self.answers.set()

    def die(self) -> None:
        self.pid, self.exit_code = None, -9  # type: ignore[assignment]

    def start(self) -> None:
        if self.broken:
            raise StoreUnavailable("no")
        self.pid, self.exit_code = 1, None
        self.journal.append(f"start {self.name}")

    launch = start
    patience = 30.0

    def prepare(self) -> None:
        pass

    def wait_healthy(self, timeout: float) -> None:
        self.waited.append(timeout)
        assert self.answers.wait(10)
        if self.broken:
            raise StoreUnavailable("no")

    def stop(self, *_: Any, **__: Any) -> None:
        self.die()
        self.journal.append(f"stop {self.name}")

    kill = stop


class World:
    """A supervisor over parts that only pretend."""

    def __init__(self, home: Path, broker: str) -> None:
        self.journal: list[str] = []
        self.said: list[str] = []
        self.beats: dict[str, Heartbeat] = {}
        self.servers = {n: Part(self.journal, n, 1) for n in (broker, "valkey", "postgres")}
        self.workers = {n: Part(self.journal, n, 1) for n in ("learner", "simulator", "api")}
        stack: Any = SimpleNamespace(
            servers=self.servers,
            workers=self.workers,
            start_worker=self.start_worker,
            create_topics=lambda: self.journal.append("topics"),
            heartbeats=lambda: self.beats,
        )
        self.supervisor = Supervisor(stack, Home(home), 5.0, self.said.append)
        for name in (*self.servers, *self.workers):
            self.supervisor.parts.ward(name).started(0.0)

    def start_worker(self, name: str, **environ: str) -> Part:
        self.workers[name].start()
        if environ:
            self.journal.append(f"with {environ}")
        return self.workers[name]

    def tick(self, now: float) -> None:
        """Take a turn, and another when what is asked in a thread has answered."""
        self.supervisor.restarter.tick(now)
        answers: list[Future[Any]] = [*self.supervisor.restarter._launched.values()]
        beats: Any = self.supervisor.restarter._standstill._asked
        answers += [beats] if beats is not None else []
        if answers and all(server.answers.is_set() for server in self.servers.values()):
            wait(answers, 10)
            self.supervisor.restarter.tick(now)


@pytest.fixture
def tansu(tmp_path: Path) -> World:
    return World(tmp_path, "tansu")


@pytest.fixture
def kafka(tmp_path: Path) -> World:
    return World(tmp_path, "kafka")


def test_nothing_happens_while_all_is_well(tansu: World) -> None:
    tansu.tick(1.0)
    assert tansu.journal == []
    assert tansu.said == []


def test_a_worker_comes_back_after_its_delay_and_not_before(tansu: World) -> None:
    tansu.workers["learner"].die()
    tansu.tick(10.0)
    tansu.tick(10.0 + 0.9 * FIRST_DELAY)
    assert tansu.journal == []
    tansu.tick(10.0 + FIRST_DELAY)
    assert tansu.journal == ["start learner"]
    said = "learner ended with code -9, see learner.log; starting it again in 0.5 s"
    assert tansu.said == [said]
    assert tansu.supervisor.parts.record.processes["learner"]["restarts"] == 1


def test_the_simulator_comes_back_with_its_rate(tansu: World) -> None:
    tansu.workers["simulator"].die()
    tansu.tick(1.0)
    tansu.tick(2.0)
    assert tansu.journal == ["start simulator", "with {'SEGUE_SIMULATE': '5.0'}"]


def test_a_broker_in_memory_takes_every_worker_with_it(tansu: World) -> None:
    tansu.servers["tansu"].die()
    tansu.tick(1.0)
    tansu.tick(2.0)
    assert tansu.journal[:2] == ["start tansu", "topics"]
    assert sorted(tansu.journal[2:5]) == ["stop api", "stop learner", "stop simulator"]
    assert [line for line in tansu.journal[5:] if line.startswith("start")] == [
        "start learner",
        "start simulator",
        "start api",
    ]


@pytest.mark.parametrize("name", ["kafka", "valkey", "postgres"])
def test_a_server_that_keeps_its_data_comes_back_alone(kafka: World, name: str) -> None:
    kafka.servers[name].die()
    kafka.tick(1.0)
    kafka.tick(2.0)
    assert kafka.journal == [f"start {name}"]


def test_a_worker_that_cannot_be_started_does_not_end_the_stack(kafka: World) -> None:
    """No memory for another process, a log that cannot be opened."""
    learner = kafka.workers["learner"]
    learner.die()
    learner.broken = True
    kafka.tick(1.0)
    kafka.tick(1.0 + FIRST_DELAY)
    assert kafka.said[-1] == "learner does not start; next attempt in 1 s: no"
    learner.broken = False
    kafka.tick(1.0 + FIRST_DELAY + 1.0)
    assert kafka.journal == ["start learner"]


def test_a_full_disk_does_not_end_a_stack_that_runs(
    kafka: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(kafka.supervisor.parts.home, "write_run", full)
    with pytest.raises(OSError, match="No space left"):  # a start can still be refused
        kafka.supervisor.parts.note("api", 1)
    kafka.supervisor.parts.set_phase("ready")
    kafka.workers["learner"].die()
    kafka.tick(1.0)
    kafka.tick(2.0)
    assert kafka.journal == ["start learner"]
    assert "No space left on device" in kafka.said[0]


@pytest.fixture
def signals() -> Iterator[None]:
    """Put back what the supervisor makes of signals."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_whatever_goes_wrong_everything_is_stopped_in_order(
    kafka: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the reader of `segue up | head` is gone: rich ends the program."""
    monkeypatch.setattr(kafka.supervisor, "_start", lambda: None)
    monkeypatch.setattr(kafka.supervisor, "_drain", lambda _: kafka.journal.append("drain"))

    def broken_pipe() -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        kafka.supervisor.run(broken_pipe)
    assert sorted(kafka.journal[:2]) == ["stop api", "stop simulator"]
    assert kafka.journal[2:] == [
        "drain",
        "stop learner",
        "stop kafka",
        "stop valkey",
        "stop postgres",
    ]
    assert kafka.supervisor.parts.record.phase == "failed"


@pytest.mark.usefixtures("signals")
def test_ctrl_c_does_not_wait_for_a_server_that_is_starting(
    kafka: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka.supervisor, "_start", lambda: None)
    monkeypatch.setattr(kafka.supervisor, "_drain", lambda _: None)
    valkey = kafka.servers["valkey"]
    valkey.answers.clear()

    def launch() -> None:
        valkey.start()
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(valkey, "launch", launch)
    kafka.supervisor.run(valkey.die)
    assert kafka.supervisor.parts.record.phase == "stopped"
    valkey.answers.set()


def test_while_a_server_comes_back_slowly_others_are_started(kafka: World) -> None:
    """A broker that reads its log again is neither killed nor waited for by everybody."""
    broker = kafka.servers["kafka"]
    broker.answers.clear()
    broker.die()
    kafka.tick(1.0)
    kafka.tick(2.0)
    assert kafka.journal == ["start kafka"]
    kafka.workers["learner"].die()
    kafka.tick(3.0)
    kafka.tick(4.0)
    assert kafka.journal == ["start kafka", "start learner"]
    broker.answers.set()
    kafka.tick(500.0)
    assert kafka.journal == ["start kafka", "start learner"]
    assert kafka.supervisor.parts.ward("kafka").restarts == 1


def test_patience_with_a_server_that_does_not_answer_doubles(kafka: World) -> None:
    broker = kafka.servers["kafka"]
    now = 1.0
    for attempt in range(6):
        broker.die()
        kafka.tick(now)
        broker.broken = False  # it can be launched
        now = kafka.supervisor.parts.ward("kafka").due or 0.0
        kafka.supervisor.restarter.tick(now)
        broker.broken = attempt < 5  # it does not answer
        kafka.tick(now)
    assert broker.waited == [30.0, 60.0, 120.0, 240.0, 240.0, 240.0]


def beat(worker: str, state: str, pid: int = 1) -> Heartbeat:
    return Heartbeat(name=worker, pid=pid, at=0, state=state)


def test_a_worker_that_stands_still_is_started_again(kafka: World) -> None:
    kafka.beats = {"learner": beat("learner", STUCK), "api": beat("api", "running")}
    for now in range(0, int(PATIENCE), 5):
        kafka.tick(float(now))
    assert kafka.journal == []
    kafka.tick(PATIENCE)
    assert kafka.journal == ["stop learner"]
    assert "learner has not gone on" in kafka.said[0]
    kafka.tick(PATIENCE + 1)
    kafka.tick(PATIENCE + 2)
    assert kafka.journal == ["stop learner", "start learner"]


def test_a_worker_that_goes_on_again_or_is_not_ours_is_left_alone(kafka: World) -> None:
    for now in range(0, 100, 5):
        stuck = now % 20 == 0
        kafka.beats = {
            "learner": beat("learner", STUCK if stuck else "running"),
            "api": beat("api", STUCK, pid=77),
        }
        kafka.tick(float(now))
    assert kafka.journal == []


def test_a_server_that_does_not_start_is_tried_again_more_slowly(kafka: World) -> None:
    valkey = kafka.servers["valkey"]
    valkey.die()
    valkey.broken = True
    kafka.tick(1.0)
    kafka.tick(1.0 + FIRST_DELAY)
    assert "next attempt in 1 s" in kafka.said[-1]
    valkey.broken = False
    kafka.tick(1.0 + 2 * FIRST_DELAY)
    assert "start valkey" not in kafka.journal
    kafka.tick(1.0 + FIRST_DELAY + 1.0)
    assert "start valkey" in kafka.journal
