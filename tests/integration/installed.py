"""The layout of the image without Docker: locked requirements and the wheel, nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from online_model._numba import kernels_digest
from tests.conftest import ROOT

LOCK = ROOT / "infra" / "requirements" / "runtime.lock"
UV = str(Path(sys.executable).with_name("uv"))
PACKAGES = ("api", "batch", "contracts", "infra", "online_model", "streams", "web")


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and a folder to run it in.

    Attributes
    ----------
    site
        Its ``site-packages``.
    folder
        A foreign project: its packages have the names of ours.
    """

    python: Path
    site: Path
    folder: Path

    @property
    def segue(self) -> Path:
        return self.python.with_name("segue")

    def environ(self, home: Path) -> dict[str, str]:
        """Return variables that reveal nothing of the checkout or its environment to a process."""
        return {"HOME": str(home), "PATH": f"{self.python.parent}:/usr/bin:/bin", "LANG": "C.UTF-8"}

    def files(self) -> set[str]:
        """Return what lies in ``site-packages``, without caches."""
        return {
            str(path.relative_to(self.site))
            for path in self.site.rglob("*")
            if "__pycache__" not in path.parts
        }


def build_wheel(folder: Path) -> Path:
    """Build the wheel as the image does."""
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(folder: Path) -> Installed:
    """Make an environment from ``runtime.lock`` and the wheel alone.

    The packages come from the installer's cache, which `make install` fills, or the index this
    machine is set up to use.
    """
    environment = folder / "environment"
    python = environment / "bin" / "python"
    wheel = build_wheel(folder / "dist")
    _run([UV, "-q", "venv", "--python", sys.executable, str(environment)], folder)
    pip = [UV, "-q", "pip"]
    sync = ["sync", "--require-hashes", "--python", str(python), str(LOCK)]
    try:
        _run([*pip, *sync, "--offline"], folder)
    except AssertionError:  # something is not in the cache
        _run([*pip, *sync], folder)
    one = ["install", "--no-deps", "--no-index", "--python", str(python), str(wheel)]
    _run([*pip, *one], folder)
    project = folder / "project"
    for name in PACKAGES:
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("raise RuntimeError('a package of the user')\n")
    (site,) = environment.glob("lib/python*/site-packages")
    return Installed(python, site, project)


def reuse_kernels(installed: Installed) -> None:
    """Give the environment the machine code this checkout has compiled from the same sources.

    Compiling takes a minute. numba holds compiled code against its source's time and size, so the
    times are set to those of the checkout, which holds the same text: that is asserted.
    """
    ours, theirs = ROOT / "online_model", installed.site / "online_model"
    assert kernels_digest(ours) == kernels_digest(theirs)
    for source in ours.glob("*.py"):
        stat = source.stat()
        os.utime(theirs / source.name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    cache = theirs / "__pycache__"
    cache.mkdir(exist_ok=True)
    for path in (ours / "__pycache__").glob("*"):
        if path.suffix in {".nbi", ".nbc"} or path.name.startswith("kernels"):
            shutil.copy2(path, cache)


def run(
    installed: Installed, *arguments: str, environ: dict[str, str], code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run the installed command in the foreign folder; it must end with ``code``."""
    done = subprocess.run(
        [str(installed.segue), *arguments],
        env=environ,
        cwd=installed.folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == code, (done.stdout + done.stderr)[-4000:]
    return done


def distributions(installed: Installed) -> dict[str, bool]:
    """Return the installed distributions and whether each is an editable one."""
    listed = [UV, "-q", "pip", "list", "--format", "json", "--python", str(installed.python)]
    found = json.loads(subprocess.run(listed, capture_output=True, text=True, check=True).stdout)
    return {entry["name"]: "editable_project_location" in entry for entry in found}


def _run(command: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
