"""Where Snowflake is and who we are there: one object read from ``SEGUE_SNOWFLAKE_*``.

Each process is a user of its own with a role of its own (loader, transformer, administrator), so
the same variables hold other values in each. Nothing is started or asked when no account is named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, get_type_hints

from contracts.environ import converted, variable
from contracts.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

_PREFIX = "SEGUE_SNOWFLAKE_"
_IDENTITY = frozenset({"user", "password", "private_key", "role", "warehouse"})
#: The schema that the sinks fill; tables are named as in :data:`contracts.lake.TABLES`.
RAW = "RAW"
STAGE = "LANDING"
#: Stage of what the nightly lands: the journal of merges, the catalogue.
BATCH_STAGE = "BATCH"
QUARANTINE = "QUARANTINE"
#: How long an account that does not answer is tried, seconds.
LOGIN_SECONDS = 20
#: Error numbers that waiting does not help: "does not exist or not authorized", "insufficient
#: privileges", syntax.
REFUSED = frozenset({2003, 3001, 1003, 2043})


@dataclass(frozen=True, slots=True)
class Snowflake:
    """An account, a user of it and how to reach it.

    Attributes
    ----------
    account
        Account identifier, such as ``myorg-myaccount``.
    user, role, warehouse
        Empty role or warehouse: the user's default.
    password, private_key
        One of them; the key is PEM (PKCS 8, not encrypted). Snowpipe takes the key only.
    database
        Holds the schemas RAW, STAGING, INTERMEDIATE, SNAPSHOTS and MARTS.
    host, port, protocol
        Only where the address is not ``https://<account>.snowflakecomputing.com``.
    seconds, rows
        The sink makes a file when its oldest message waits this long, or so many rows wait.
    silence_seconds
        A file of which Snowpipe reports nothing for so long is looked for in RAW.
    """

    account: str
    user: str = ""
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    role: str = ""
    warehouse: str = ""
    database: str = "SEGUE"
    host: str = ""
    port: int = 443
    protocol: str = "https"
    seconds: float = 60.0
    rows: int = 200_000
    silence_seconds: float = 120.0

    @property
    def address(self) -> str:
        """Host name."""
        return self.host or f"{self.account}.snowflakecomputing.com"

    def name(self, thing: str) -> str:
        """Return the full name of a thing in RAW: ``SEGUE.RAW.PLAYS``."""
        return f"{self.database}.{RAW}.{thing}".upper()

    def pipe(self, table: str) -> str:
        """Return the full name of the pipe that fills a table."""
        return self.name(f"{table}_pipe")

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None, process: str = "") -> Snowflake | None:
        """Read ``SEGUE_SNOWFLAKE_*``; ``None`` when no account is named.

        A secret may also lie in the file that ``<NAME>_FILE`` names.

        Parameters
        ----------
        process
            Where ``SEGUE_SNOWFLAKE_<PROCESS>_USER`` is set, that user, its key, role and warehouse
            are taken: so processes of one environment may be different users.

        Raises
        ------
        ConfigurationError
            Naming the variable that cannot be read.

        Examples
        --------
        >>> Snowflake.from_env({}) is None
        True
        >>> Snowflake.from_env({"SEGUE_SNOWFLAKE_ACCOUNT": "a-b"}).address
        'a-b.snowflakecomputing.com'
        >>> env = {"SEGUE_SNOWFLAKE_ACCOUNT": "a-b", "SEGUE_SNOWFLAKE_ERASER_USER": "X"}
        >>> Snowflake.from_env(env, "eraser").user
        'X'
        """
        source = os.environ if env is None else env
        if not source.get(f"{_PREFIX}ACCOUNT"):
            return None
        types = get_type_hints(cls)
        values: dict[str, Any] = {}
        own = f"{_PREFIX}{process.upper()}_"
        own = own if source.get(f"{own}USER") else _PREFIX
        for each in fields(cls):
            name = (own if each.name in _IDENTITY else _PREFIX) + each.name.upper()
            if text := variable(source, name):
                values[each.name] = converted(name, text, types[each.name])
        found = cls(**values)
        if not found.database.replace("_", "").isalnum():
            raise ConfigurationError(f"{_PREFIX}DATABASE={found.database!r} is not a plain name")
        return found

    @classmethod
    def required(cls) -> Snowflake:
        """Return the settings, or say what to set.

        Raises
        ------
        ConfigurationError
            No account is named.
        """
        found = cls.from_env()
        if found is None:
            raise ConfigurationError(
                "Snowflake is not configured: set SEGUE_SNOWFLAKE_ACCOUNT, _USER and "
                "_PRIVATE_KEY_FILE (docs/snowflake.md)"
            )
        return found

    def connect(self, *, schema: str = RAW, in_database: bool = True) -> SnowflakeConnection:
        """Open a session.

        Every wait has an end: without limits the connector repeats a request for minutes.

        Parameters
        ----------
        in_database
            ``False`` before the database exists.

        Raises
        ------
        StoreUnavailable
            The account does not answer.
        ConfigurationError
            It answers, and refuses.
        """
        from snowflake import connector  # half a second; only for those who connect

        options: dict[str, Any] = {
            "account": self.account,
            "user": self.user,
            "host": self.address,
            "port": self.port,
            "protocol": self.protocol,
            "login_timeout": LOGIN_SECONDS,
            "network_timeout": 30,
            "session_parameters": {"TIMEZONE": "UTC", "QUERY_TAG": "segue"},
            "application": "segue",
        }
        if self.private_key:
            options |= {"authenticator": "SNOWFLAKE_JWT", "private_key": self.key_bytes()}
        elif self.password:
            options["password"] = self.password
        if in_database:
            options |= {"database": self.database, "schema": schema}
        options |= {k: v for k in ("role", "warehouse") if (v := getattr(self, k))}
        try:
            return connector.connect(**options)
        except connector.errors.DatabaseError as error:
            refused = "JWT" in str(error) or "ncorrect username" in str(error)
            words = f"Snowflake account {self.account}, user {self.user}: {error}"
            raise (ConfigurationError if refused else StoreUnavailable)(words) from None
        except connector.errors.Error as error:
            raise StoreUnavailable(f"Snowflake account {self.account}: {error}") from None

    def key_bytes(self) -> bytes:
        """Return the private key in DER, as the connector wants it.

        Raises
        ------
        ConfigurationError
            It is no unencrypted PEM key.
        """
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
            load_pem_private_key,
        )

        try:
            key = load_pem_private_key(self.private_key.encode(), password=None)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"{_PREFIX}PRIVATE_KEY is not an unencrypted PEM key: {error}"
            ) from None
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
