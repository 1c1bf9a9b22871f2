"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import errno
import socket

LOOPBACK = "127.0.0.1"


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

    They are taken from the system's own choice and given back, so that another program may take
    one in between; whoever starts a server on one must notice that it failed.
    """
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def answers(port: int, host: str = LOOPBACK, timeout: float = 0.5) -> bool:
    """Whether a server accepts connections on a port."""
    try:
        with socket.create_connection((host, port), timeout):
            return True
    except OSError:
        return False
