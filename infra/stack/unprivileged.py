"""How to run a program that refuses to run as root, without creating a user.

Three ways, the first that works is taken:

1. we are not root: nothing to do;
2. a user namespace in which our own uid has another number: the program believes that it is not
   root, the kernel still sees root's files, so folders only root may enter stay usable;
3. ``setuid`` to ``nobody``. Where that user cannot reach the home or the programs (both may lie
   below ``/root``), data and a copy of the programs go to ``/var/tmp``.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import ConfigurationError

_SHARED = Path("/var/tmp")  # noqa: S108  survives a reboot, and everybody may enter it


@dataclass(frozen=True, slots=True)
class Identity:
    """Under whom a program runs, and where its files are.

    Attributes
    ----------
    prefix
        Command to put in front of the program's.
    user, group
        Numeric ids for :class:`infra.stack.process.Process`; ``None`` keeps ours.
    data
        Folder for the program's data, owned by whoever runs it.
    programs
        The program folder to use: the given one, or a copy of it.
    """

    prefix: tuple[str, ...]
    user: int | None
    group: int | None
    data: Path
    programs: Path

    def own(self, path: Path) -> None:
        """Give a file of ours to the program's user."""
        if self.user is not None:
            os.chown(path, self.user, self.group or -1)


def _nobody() -> pwd.struct_passwd:
    for name in ("nobody", "daemon", "bin"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError("PostgreSQL does not run as root and there is no user 'nobody'")


def _succeeds(command: list[str], user: int | None = None, group: int | None = None) -> bool:
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=20, user=user, group=group,
            extra_groups=None if user is None else [], cwd="/", check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _reach(folder: Path, program: Path) -> list[str]:
    return ["/bin/sh", "-c", 'test -w "$0" && "$1" --version', str(folder), str(program)]


def _copy(source: Path, parts: tuple[str, ...], version: str) -> Path:
    """Copy `parts` of `source` to a folder everybody can read; keep what an earlier run copied."""
    mark = hashlib.sha256(f"{source}:{version}".encode()).hexdigest()[:12]
    target = _SHARED / f"segue-programs-{mark}"
    if not target.exists():
        aside = _SHARED / f".{target.name}.{os.getpid()}"
        aside.mkdir()
        aside.chmod(0o755)  # regardless of the umask
        for part in parts:
            shutil.copytree(source / part, aside / part, symlinks=True)
        try:
            aside.rename(target)
        except OSError:  # another start was quicker
            shutil.rmtree(aside)
    _must_be_ours(target)
    return target


def _must_be_ours(folder: Path) -> None:
    # Every user may create names in /var/tmp: never run or trust another user's files.
    stat = folder.lstat()
    if stat.st_uid != os.geteuid() or stat.st_mode & 0o022:
        raise ConfigurationError(f"{folder} belongs to another user; remove it and start again")


def _give(folder: Path, who: pwd.struct_passwd) -> None:
    """Make `who` own a folder and what is in it (an earlier run may have been in a namespace)."""
    if folder.stat().st_uid == who.pw_uid:
        return
    for parent, _, files in os.walk(folder):
        for path in (Path(parent), *(Path(parent, file) for file in files)):
            os.chown(path, who.pw_uid, who.pw_gid, follow_symlinks=False)


def identity(data: Path, source: Path, parts: tuple[str, ...], program: str) -> Identity:
    """Decide how to run a program.

    Parameters
    ----------
    data
        Folder the program's data should lie in; made when it is missing.
    source, parts
        The program's files: folders `parts` below `source` have to be copied together.
    program
        Path of the executable below `source`.

    Raises
    ------
    ConfigurationError
        None of the ways works.
    """
    data.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return Identity((), None, None, data, source)
    who = _nobody()
    moved = data / "location"
    if not moved.exists():
        prefix = ("unshare", "--user", f"--map-user={who.pw_uid}", f"--map-group={who.pw_gid}")
        if _succeeds([*prefix, *_reach(data, source / program)]):
            return Identity(prefix, None, None, data, source)
    here = data
    if moved.exists():
        here = Path(moved.read_text().strip())
    _give(here, who)
    programs = source
    if not _succeeds([str(source / program), "--version"], who.pw_uid, who.pw_gid):
        version = str((source / program).stat().st_mtime_ns)
        programs = _copy(source, parts, version)
    if not _succeeds(_reach(here, programs / program), who.pw_uid, who.pw_gid):
        mark = hashlib.sha256(str(data).encode()).hexdigest()[:12]
        outer = _SHARED / f"segue-{mark}"
        outer.mkdir(exist_ok=True)
        _must_be_ours(outer)
        outer.chmod(0o755)
        here = outer / data.name
        here.mkdir(exist_ok=True)
        _give(here, who)
        moved.write_text(f"{here}\n")
        if not _succeeds(_reach(here, programs / program), who.pw_uid, who.pw_gid):
            raise ConfigurationError(
                f"{program} does not run as root, and user {who.pw_name} cannot run it either; "
                "start segue as an ordinary user"
            )
    return Identity((), who.pw_uid, who.pw_gid, here, programs)
