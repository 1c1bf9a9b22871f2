"""Hosts as network namespaces that one bridge connects.

A program that :data:`IN_NAMESPACES` starts may make them without being root. They end with it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.stack.process import Process, wait_until

#: What a program is started with that makes a :class:`Network`.
IN_NAMESPACES = ("unshare", "--user", "--map-root-user", "--net", "--mount")
_SUBNET = "10.77.0"
#: No host has it: what is sent there is lost without a word, as in a network that is cut.
_NOBODY = "02:00:00:00:00:01"


def trouble() -> str:
    """Return why this machine cannot make hosts; empty if it can."""
    probe = "ip link add probe type veth peer name peer && ip link add bridge type bridge"
    try:
        done = subprocess.run(
            [*IN_NAMESPACES, "sh", "-c", probe], capture_output=True, text=True, timeout=60
        )
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert not done.returncode, f"{' '.join(command)}: {done.stderr}"


@dataclass
class Host:
    """One host.

    Attributes
    ----------
    address
        Of its one interface.
    keeper
        A process without work that keeps the namespace.
    """

    name: str
    address: str
    keeper: Process
    _next_port: int = field(default=9100, repr=False)

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one on this host."""
        return ["nsenter", f"--net=/proc/{self.keeper.pid}/ns/net", *command]

    def port(self) -> int:
        """Return a port that no process of this host has."""
        self._next_port += 1
        return self._next_port


class Network:
    """The hosts, and this process as a client of them all.

    Parameters
    ----------
    folder
        For logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.hosts: list[Host] = []
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "hosts", "type", "bridge")
        _run("ip", "link", "set", "hosts", "up")
        _run("ip", "address", "add", f"{_SUBNET}.254/24", "dev", "hosts")

    def add(self, name: str) -> Host:
        """Make a host that reaches all others. Call from the main thread."""
        number = len(self.hosts) + 1
        # Python, not sleep: it prints once its namespace exists.
        wait = "import signal; print(1, flush=True); signal.pause()"
        keeper = Process(
            name,
            ["unshare", "--net", sys.executable, "-S", "-c", wait],
            self._folder / f"{name}.log",
        )
        keeper.start()
        assert wait_until(lambda: keeper.tail() == "1", 60), keeper.tail(5)
        host = Host(name, f"{_SUBNET}.{number}", keeper)
        link = f"to-{number}"
        _run(*f"ip link add {link} type veth peer name net netns {keeper.pid}".split())
        _run(*f"ip link set {link} master hosts up".split())
        for words in (
            "link set lo up",
            f"address add {host.address}/24 dev net",
            "link set net up",
        ):
            _run(*host.inside(["ip", *words.split()]))
        self.hosts.append(host)
        return host

    def cut(self, one: Host, other: Host) -> None:
        """Lose what two hosts send each other; all other connections stay."""
        for here, there in ((one, other), (other, one)):
            words = f"ip neighbour replace {there.address} lladdr {_NOBODY} nud permanent dev net"
            _run(*here.inside(words.split()))

    def mend(self, one: Host, other: Host) -> None:
        """End a cut."""
        for here, there in ((one, other), (other, one)):
            _run(*here.inside(f"ip neighbour del {there.address} dev net".split()))


def resolve(folder: Path, names: dict[str, list[Host]]) -> None:
    """Have names lead to hosts, for this process and all that it starts.

    A name with several hosts is a Service of Kubernetes: clients try one after the other.
    """
    file = folder / "hosts"
    lines = [f"{host.address} {name}\n" for name, found in names.items() for host in found]
    file.write_text("127.0.0.1 localhost\n" + "".join(lines))
    if not Path("/etc/hosts").samefile(file):
        _run("mount", "--bind", str(file), "/etc/hosts")
