"""The jars of Apache Kafka: resolved once by Maven, kept in ``infra/kafka/libs/``."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

from contracts.errors import ConfigurationError

FOLDER = Path(__file__).resolve().parent.parent / "kafka"
#: The oldest Java that Apache Kafka 4 runs on.
MIN_JAVA = 17
_LIBS = "libs"


def java() -> str:
    """Return the Java program: ``$JAVA_HOME/bin/java`` or the one on ``PATH``.

    Raises
    ------
    ConfigurationError
        There is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    found = found or shutil.which("java")
    if found is None:
        raise ConfigurationError(
            "Apache Kafka needs Java 17 or newer and 'java' is not on PATH; "
            "install it, or use --broker tansu"
        )
    return found


def java_version(text: str) -> int | None:
    """Return the major version in what ``java -version`` prints; ``None`` if there is none.

    Examples
    --------
    >>> java_version('openjdk version "17.0.15" 2025-04-15'), java_version("no Java")
    (17, None)
    """
    found = re.search(r'version "(\d+)', text)
    return int(found[1]) if found else None


def check_java() -> None:
    """Return if the Java of this machine can run Apache Kafka.

    Raises
    ------
    ConfigurationError
        There is none, or it is too old.
    """
    program = java()
    try:
        done = subprocess.run(
            [program, "-version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{program} does not run: {error}") from None
    version = java_version(done.stderr + done.stdout)
    if version is None or version < MIN_JAVA:
        raise ConfigurationError(
            f"Apache Kafka needs Java {MIN_JAVA} or newer; {program} is version {version}; "
            "install a newer one, or use --broker tansu"
        )


def resolved(folder: Path = FOLDER) -> bool:
    """Whether the jars are there already."""
    return _fresh(folder / _LIBS / ".complete", folder / "pom.xml")


def classpath(folder: Path = FOLDER) -> str:
    """Return the class path of the server, resolving the jars when they are not there yet.

    Several processes may call this at once: one resolves, the others wait.

    Raises
    ------
    ConfigurationError
        Maven is missing or cannot resolve the jars.
    """
    libs = folder / _LIBS
    if not resolved(folder):
        (folder / "target").mkdir(exist_ok=True)
        with (folder / "target" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not resolved(folder):
                _resolve(folder, libs)
                (libs / ".complete").touch()
    return f"{libs}/*"


def _fresh(marker: Path, pom: Path) -> bool:
    return marker.exists() and marker.stat().st_mtime >= pom.stat().st_mtime


def _resolve(folder: Path, libs: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError(
            "the jars of Apache Kafka are resolved by Maven and 'mvn' is not on PATH; "
            "install it, or use --broker tansu"
        )
    shutil.rmtree(libs, ignore_errors=True)  # of another version
    command = [
        maven, "-q", "-B", "-f", str(folder / "pom.xml"),
        "dependency:copy-dependencies", f"-DoutputDirectory={libs}",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        raise ConfigurationError("Maven did not resolve Apache Kafka within 600 s") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise ConfigurationError(f"Maven cannot resolve Apache Kafka: {lines[0]}")


if __name__ == "__main__":  # part of the installation: the first start need not wait for Maven
    try:
        check_java()
        classpath()
    except (ConfigurationError, OSError) as problem:
        print(f"without Apache Kafka (segue up will use tansu): {problem}")
