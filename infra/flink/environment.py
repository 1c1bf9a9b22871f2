"""The environment Flink runs in: an interpreter of its own, and the jars its wheel lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from contracts.errors import ConfigurationError
from infra.stack import kafka_jars

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv-flink"
JARS = Path(__file__).resolve().parent
#: Holds the lock that the environment was filled from.
_STAMP = VENV / ".installed"
_LOCK = ROOT / "infra" / "requirements" / "flink.lock"


def python() -> Path:
    """Return the interpreter.

    Raises
    ------
    ConfigurationError
        The environment is not there, or is that of an older lock.
    """
    if not _STAMP.exists():
        raise ConfigurationError("Flink is not installed; run: segue flink install")
    if _STAMP.read_text() != _LOCK.read_text():
        raise ConfigurationError("Flink's requirements have changed; run: segue flink install")
    return VENV / "bin" / "python"


def jars() -> list[Path]:
    """Return the jars beside the wheel's, resolving them by Maven where they are missing."""
    folder = Path(kafka_jars.classpath(JARS).removesuffix("/*"))
    return sorted(folder.glob("*.jar"))


def command(*arguments: str) -> list[str]:
    """Return the command line of a run of the jobs in one process."""
    joined = ";".join(path.as_uri() for path in jars())
    module = [str(python()), "-P", "-m", "streams.flink"]
    return [*module, "--set", f"pipeline.jars={joined}", *arguments]


def environ(jvm: str = "", scratch: Path | None = None) -> dict[str, str]:
    """Return variables of a run.

    Parameters
    ----------
    jvm
        Options of the Java machine, such as its heap.
    scratch
        Existing folder into which Java unpacks jars (45 MB). A killed run leaves them there. By
        default the folder for temporary files. Java does not read ``TMPDIR``, so we pass it.
    """
    folder = tempfile.gettempdir() if scratch is None else scratch
    # A path may contain spaces. pyflink splits JVM_ARGS at each space; Java reads quotes here.
    options = (os.environ.get("JAVA_TOOL_OPTIONS", ""), f'"-Djava.io.tmpdir={folder}"')
    return {
        "JVM_ARGS": jvm,
        "JAVA_TOOL_OPTIONS": " ".join(filter(None, options)),
        "LOG4J_PROPERTIES": str(JARS / "log4j.properties"),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{VENV / 'bin'}:{Path(kafka_jars.java()).parent}:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
    }


def install() -> None:
    """Fill the environment from the lock and fetch the jars; what is there already stays.

    Raises
    ------
    ConfigurationError
        No interpreter that Flink runs on, no Java, or the registry does not answer.
    """
    kafka_jars.java()
    jars()
    if _STAMP.exists() and _STAMP.read_text() == _LOCK.read_text():
        return
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise ConfigurationError("uv is missing; run: make install")
    _run(uv, "-q", "venv", "--clear", "--python", _interpreter(uv), str(VENV))
    _run(
        uv, "-q", "pip", "sync", "--require-hashes",
        "--python", str(VENV / "bin" / "python"), str(_LOCK),
    )  # fmt: skip
    _STAMP.write_text(_LOCK.read_text())


def _interpreter(uv: str) -> str:
    """Return an interpreter that Flink runs on: it knows none newer than 3.12."""
    if sys.version_info[:2] <= (3, 12):
        return sys.executable
    for version in ("3.12", "3.11"):
        if path := shutil.which(f"python{version}"):
            return path
    raise ConfigurationError(
        "Flink runs on Python 3.11 and 3.12, not on this one; install python3.12 beside it"
    )


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["no output"]
        raise ConfigurationError(f"Flink cannot be installed: {lines[-1]}")
