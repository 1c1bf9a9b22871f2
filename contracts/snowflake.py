"""Where Snowflake is and who we are there: one object read from ``SEGUE_SNOWFLAKE_*``.

Each process is a user of its own with a role of its own (loader, transformer, administrator), so
the same variables hold other values in each. Nothing is started or asked when no account is named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from contracts.environ import Rule, read, setting
from contracts.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

#: Fields that say who a process is.
IDENTITY = ("user", "password", "private_key", "role", "warehouse")
#: Processes that may be another user in the same environment (:meth:`Snowflake.from_env`).
PROCESSES = ("eraser",)
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

    Settings are listed in ``docs/settings.md``.
    """

    PREFIX: ClassVar[str] = "SEGUE_SNOWFLAKE_"

    account: str = setting(
        "", "Account identifier, such as `myorg-myaccount`; empty: there is no Snowflake."
    )
    user: str = setting("", "Each process is a user of its own.")
    password: str = setting("", "Password, where there is no key.", secret=True)
    private_key: str = setting(
        "", "Private key: PEM, PKCS 8, not encrypted. Snowpipe takes a key only.", secret=True
    )
    role: str = setting("", "Empty: the user's default.")
    warehouse: str = setting("", "Empty: the user's default.")
    database: str = setting(
        "SEGUE", "Holds the schemas RAW, STAGING, INTERMEDIATE, SNAPSHOTS and MARTS."
    )
    host: str = setting(
        "", "Host name, where the address is not `<account>.snowflakecomputing.com`."
    )
    port: int = setting(443, "Port of that address.", rule=Rule(low=1, high=65_535))
    protocol: str = setting(
        "https", "Protocol of that address.", rule=Rule(choices=("https", "http"))
    )
    seconds: float = setting(
        60.0,
        "Seconds after which the sink writes a file with its oldest message.",
        rule=Rule(above=0),
    )
    rows: int = setting(
        200_000, "The sink writes a file earlier if this many rows wait.", rule=Rule(low=1)
    )
    silence_seconds: float = setting(
        120.0, "Seconds without a report of Snowpipe after which the sink looks for a file in RAW."
    )

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
        if not source.get(f"{cls.PREFIX}ACCOUNT"):
            return None
        own = f"{cls.PREFIX}{process.upper()}_"
        if process and source.get(f"{own}USER"):
            # None of the common identity: one user's key must not be taken for another's.
            identity = {f"{cls.PREFIX}{field.upper()}": field.upper() for field in IDENTITY}
            common = {k: v for k, v in source.items() if k.removesuffix("_FILE") not in identity}
            source = common | {
                f"{name}{end}": source[f"{own}{field}{end}"]
                for name, field in identity.items()
                for end in ("", "_FILE")
                if f"{own}{field}{end}" in source
            }
        found = read(cls, source)
        if not found.database.replace("_", "").isalnum():
            raise ConfigurationError(f"{cls.PREFIX}DATABASE={found.database!r} is not a plain name")
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
            Snowflake answers, and refuses the login.
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
                f"{self.PREFIX}PRIVATE_KEY is not an unencrypted PEM key: {error}"
            ) from None
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class SnowflakeSetup:
    """What ``segue snowflake apply`` writes into the account besides the database's name."""

    PREFIX: ClassVar[str] = "SEGUE_SNOWFLAKE_"

    loader_public_key: str = setting("", "Public key of the sink's user.")
    transformer_public_key: str = setting("", "Public key of the nightly's user.")
    eraser_public_key: str = setting("", "Public key of the eraser's user.")
    machine_addresses: str = setting(
        "'0.0.0.0/0'", "Addresses these users may come from: quoted networks, with commas."
    )
    credit_quota: int = setting(30, "Credits a month the warehouse may use.", rule=Rule(low=1))
    retention_days: int = setting(14, "Days of time travel.", rule=Rule(low=0, high=90))
    masking_pepper: str = setting(
        "",
        "Secret that pseudonyms are made with; they stay the same for as long as it does.",
        secret=True,
    )
