"""What an account holds besides databases: pipes, users' keys, roles, warehouses, policies, grants.

fakesnow knows none of them. They are recorded here, shown by SHOW, and IS_ROLE_IN_SESSION looks at
them; nothing more: nobody is refused anything for lack of a role, and no policy masks.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field

_KINDS = (
    "ROLE",
    "WAREHOUSE",
    "USER",
    "RESOURCE MONITOR",
    "NETWORK RULE",
    "NETWORK POLICY",
    "MASKING POLICY",
)
_CREATE = re.compile(
    rf"CREATE\s+(?P<replace>OR\s+REPLACE\s+)?(?P<kind>{'|'.join(_KINDS)})\s+"
    r"(?P<exists>IF\s+NOT\s+EXISTS\s+)?(?P<name>[\w.\"]+)(?P<rest>.*)",
    re.I | re.S,
)
_ALTER = re.compile(
    rf"ALTER\s+(?P<kind>{'|'.join(_KINDS)})\s+(?:IF\s+EXISTS\s+)?(?P<name>[\w.\"]+)\s+"
    r"SET\s+(?P<rest>.*)",
    re.I | re.S,
)
_PIPE = re.compile(
    r"CREATE\s+(?P<replace>OR\s+REPLACE\s+)?PIPE\s+(?P<exists>IF\s+NOT\s+EXISTS\s+)?"
    r"(?P<name>[\w.]+)\s+.*?\bAS\s+COPY\s+INTO\s+(?P<table>[\w.]+)\s+"
    r"FROM\s+@(?P<stage>[\w.]+)(?P<rest>.*)",
    re.I | re.S,
)
METADATA = re.compile(r"(\w+)\s*=\s*METADATA\$(\w+)", re.I)
_PROPERTY = re.compile(r"(\w+)\s*=\s*('(?:[^']|'')*'|[\w.]+)", re.S)


@dataclass(frozen=True)
class Pipe:
    """A pipe's definition: what it reads, what it fills, which columns take load metadata."""

    name: str
    table: str
    stage: str
    metadata: dict[str, str]
    definition: str


@dataclass
class Account:
    """Objects by kind and name, names in upper case."""

    pipes: dict[str, Pipe] = field(default_factory=dict)
    objects: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    grants: dict[str, list[str]] = field(default_factory=dict)
    masked: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def keys(self) -> dict[str, str]:
        """``USER -> public key`` of the users that have one."""
        users = self.objects.get("USER", {})
        return {n: u["RSA_PUBLIC_KEY"] for n, u in users.items() if u.get("RSA_PUBLIC_KEY")}

    def has_role(self, user: str, role: str) -> bool:
        """Whether a user was granted a role."""
        with self.lock:
            return f"GRANT ROLE {role} TO USER {user}".upper() in (
                grant.upper() for grant in self.grants.get(user.upper(), [])
            )

    def take(self, sql: str) -> str | None:
        """Carry out a statement about such an object.

        Returns
        -------
        str | None
            Snowflake's answer; ``None`` when the statement is not one of ours.
        """
        with self.lock:
            if found := _PIPE.match(sql):
                return self._create_pipe(found, sql)
            if found := _CREATE.match(sql):
                return self._create(found)
            if found := _ALTER.match(sql):
                name = found["name"].upper()
                self.objects.setdefault(_kind(found), {}).setdefault(name, {}).update(
                    _properties(found["rest"]) | {"TEXT": found["rest"]}
                )
                return "Statement executed successfully."
            if re.match(r"(GRANT|REVOKE)\s", sql, re.I):
                return self._grant(sql)
            if found := re.match(
                r"ALTER\s+(?:TABLE|VIEW)\s+(\S+)\s+MODIFY\s+COLUMN\s+(\S+)\s+SET\s+MASKING\s+"
                r"POLICY\s+(\S+)",
                sql,
                re.I,
            ):
                self.masked[f"{found[1]}.{found[2]}".upper().replace('"', "")] = found[3].upper()
                return "Statement executed successfully."
            if re.match(
                r"(USE\s+(SECONDARY\s+)?ROLES?\s|ALTER\s+(DATABASE|SCHEMA|TABLE)\s+\S+\s+SET\s+DATA_"
                r"|ALTER\s+PIPE\s)",
                sql,
                re.I,
            ):
                return "Statement executed successfully."
        return None

    def _create_pipe(self, found: re.Match[str], sql: str) -> str:
        name = found["name"].upper()
        if name in self.pipes and not found["replace"]:
            return f"{name} already exists, statement succeeded."
        metadata = {c.upper(): m.upper() for c, m in METADATA.findall(found["rest"])}
        self.pipes[name] = Pipe(
            name, found["table"].upper(), found["stage"].upper(), metadata, sql.strip()
        )
        return f"Pipe {name} successfully created."

    def _create(self, found: re.Match[str]) -> str:
        kind, name = _kind(found), found["name"].upper().replace('"', "")
        known = self.objects.setdefault(kind, {})
        if name in known and not found["replace"]:
            return f"{name} already exists, statement succeeded."
        known[name] = _properties(found["rest"]) | {"TEXT": found["rest"]}
        return f"{kind.capitalize()} {name} successfully created."

    def _grant(self, sql: str) -> str:
        words = " ".join(sql.split())
        role = words.rsplit(" ", 1)[-1].upper()
        held = self.grants.setdefault(role, [])
        if words.upper().startswith("GRANT") and words not in held:
            held.append(words)
        return "Statement executed successfully."


def _kind(found: re.Match[str]) -> str:
    return " ".join(found["kind"].upper().split())


def _properties(text: str) -> dict[str, str]:
    return {k.upper(): v.strip("'").replace("''", "'") for k, v in _PROPERTY.findall(text)}
