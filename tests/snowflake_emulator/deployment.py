"""An emulated account with our objects applied: what a test of the Snowflake side starts from."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from contracts.snowflake import Snowflake
from infra.snowflake.apply import apply
from tests.snowflake_emulator.faults import Faults
from tests.snowflake_emulator.server import Emulator


@dataclass(frozen=True)
class Deployment:
    """One database in an emulated account.

    Attributes
    ----------
    admin, loader, transformer, eraser
        The same database as seen by four users.
    key_file
        Private key of all but the administrator.
    keys
        What ``infra.snowflake.apply`` needs from the environment.
    """

    emulator: Emulator
    admin: Snowflake
    loader: Snowflake
    transformer: Snowflake
    eraser: Snowflake
    key_file: Path
    keys: dict[str, str]

    @property
    def faults(self) -> Faults:
        """Switches for what goes wrong."""
        return self.emulator.faults

    def environ(self, user: Snowflake) -> dict[str, str]:
        """Return the variables that make a process this user."""
        return {
            "SEGUE_SNOWFLAKE_ACCOUNT": user.account,
            "SEGUE_SNOWFLAKE_USER": user.user,
            "SEGUE_SNOWFLAKE_PRIVATE_KEY_FILE": str(self.key_file),
            "SEGUE_SNOWFLAKE_DATABASE": user.database,
            "SEGUE_SNOWFLAKE_HOST": user.host,
            "SEGUE_SNOWFLAKE_PORT": str(user.port),
            "SEGUE_SNOWFLAKE_PROTOCOL": user.protocol,
            "SEGUE_SNOWFLAKE_SECONDS": str(user.seconds),
            "SEGUE_SNOWFLAKE_ROWS": str(user.rows),
            "SEGUE_SNOWFLAKE_SILENCE_SECONDS": str(user.silence_seconds),
        }

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator; ``{db}`` is the database."""
        connection = self.admin.connect()
        try:
            cursor = connection.cursor().execute(sql.format(db=self.admin.database))
            assert cursor is not None
            return [tuple(row) for row in cursor.fetchall()]
        finally:
            connection.close()


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """Start an emulator, make a database of its own name, apply everything; stop it afterwards."""
    emulator = Emulator()
    emulator.start()
    try:
        key = rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        key_file = folder / "loader.p8"
        key_file.write_text(pem)
        text = base64.b64encode(public).decode()
        keys = {
            "SEGUE_SNOWFLAKE_LOADER_PUBLIC_KEY": text,
            "SEGUE_SNOWFLAKE_TRANSFORMER_PUBLIC_KEY": text,
            "SEGUE_SNOWFLAKE_ERASER_PUBLIC_KEY": text,
            "SEGUE_SNOWFLAKE_MASKING_PEPPER": "salt",
        }
        # fakesnow has one set of databases a process: tests must not meet in one.
        admin = Snowflake(
            account="emulated",
            user="ADMIN",
            password="admin",
            database=f"T{time.time_ns():X}",
            host="127.0.0.1",
            port=emulator.port,
            protocol="http",
            seconds=0.2,
            silence_seconds=1.0,
        )
        apply(admin, keys)
        loader = replace(admin, user=f"{admin.database}_LOADER", password="", private_key=pem)
        transformer = replace(loader, user=f"{admin.database}_TRANSFORMER")
        eraser = replace(loader, user=f"{admin.database}_ERASER")
        yield Deployment(emulator, admin, loader, transformer, eraser, key_file, keys)
    finally:
        emulator.stop()
