"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import errno
import os
import random
import socket
import sys
from pathlib import Path

LOOPBACK = "127.0.0.1"
#: Lowest port that is chosen, and the lowest port of outgoing connections on most systems.
_LOWEST, _USUAL = 20_000, 32_768
#: Each reservation is an open file; a server listens long before so many others were chosen.
_MOST_RESERVED = 128
#: The file descriptor of each.
_reserved: dict[int, int] = {}


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
    the server listens, seconds later. Other servers choose their ports in that time too, so each
    port is reserved (:func:`reserve`). Another program may still take a port: whoever starts a
    server must notice that it failed.
    """
    # Not the module's generator: processes that seed it alike would choose alike.
    draw = random.SystemRandom()
    chosen: list[int] = []
    while len(chosen) < count:
        port = draw.randrange(_LOWEST, max(_outgoing(), _LOWEST + 10_000))
        if port not in _reserved and is_free(port) and reserve(port):
            chosen.append(port)
    return chosen


def reserve(port: int) -> bool:
    """Keep :func:`free_ports` from choosing a port, here and in other processes of this user.

    A reservation ends with the process, or when the process has reserved 128 other ports since.
    Other processes see it on Linux only.

    Returns
    -------
    bool
        Whether no other process has reserved it.
    """
    if port in _reserved:
        return True
    # An abstract Unix socket has no file. The kernel removes it when this process ends, and each
    # network namespace has its own, as with ports.
    holder = socket.socket(socket.AF_UNIX)
    if sys.platform == "linux":
        try:
            holder.bind(f"\0segue-port-{os.getuid()}-{port}")
        except OSError:
            holder.close()
            return False
    _reserved[port] = holder.detach()  # a socket object would warn when the program ends
    if len(_reserved) > _MOST_RESERVED:
        os.close(_reserved.pop(next(iter(_reserved))))
    return True


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
