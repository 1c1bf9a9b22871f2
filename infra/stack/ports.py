"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
#: Lowest port that is chosen, and the lowest port of outgoing connections on most systems.
_LOWEST, _USUAL = 20_000, 32_768


def trouble(port: int, host: str = LOOPBACK) -> str:
    """Return why a server could not listen on a port now; empty when it could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OverflowError:
            return "is not a port: ports are 0 to 65535"
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            return "is taken" if taken else f"cannot be used: {error.strerror or error}"
        return ""


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on a port now."""
    return not trouble(port, host)


def api_address(host: str, port: int) -> str:
    """Return the base URL of an API that listens there, as this machine reaches it."""
    return f"http://{LOOPBACK if host == '0.0.0.0' else host}:{port}"  # noqa: S104


def free_ports(count: int) -> list[int]:
    """Return `count` different ports on which no process listens.

    They lie below the ports that the system gives to outgoing connections, unless those begin
    below 20,000. Otherwise a connection could take a port between this choice and the moment when
    the server listens, seconds later. Another program may still take one: whoever starts a server
    must notice that it failed.
    """
    # Not the module's generator: processes that seed it alike would choose alike.
    draw = random.SystemRandom()
    probes: dict[int, socket.socket] = {}
    try:
        while len(probes) < count:
            port = draw.randrange(_LOWEST, max(_outgoing(), _LOWEST + 10_000))
            if port in probes:
                continue
            probe = socket.socket()
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                probe.close()
            else:
                probes[port] = probe
        return list(probes)
    finally:
        for probe in probes.values():
            probe.close()


def _outgoing() -> int:
    """Return the lowest port that this system gives to outgoing connections."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:  # not Linux
        return _USUAL


def answers(port: int, host: str = LOOPBACK, timeout: float = 0.5) -> bool:
    """Whether a server accepts connections on a port."""
    try:
        with socket.create_connection((host, port), timeout):
            return True
    except OSError:
        return False
