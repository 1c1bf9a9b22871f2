"""Database logins and what each may do, granted again after every migration.

Everything is taken away first and then granted, in one transaction: a new view or table gets its
rights, and a right that is no longer listed here is gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from contracts.database_roles import ADMIN, API, PARTS, RELAY, SINK, Part, role_name
from contracts.errors import StoreUnavailable, first_line

Connection = psycopg.Connection[Any]

_VIEW = re.compile(r"\w+_v\d+")
#: Tables the history sink writes.
_HISTORY = (
    "plays", "merged_plays", "merges", "kept_apart", "recording_keys", "listen_counts",
    "history_fence", "feedback", "feedback_fence",
)  # fmt: skip
#: Tables the relay writes; the first holds the listeners' secrets at other services.
_RELAY = ("relays", "relayed_plays", "relay_fence")
#: Functions the API calls; all else it does with views and the statements of contracts.
_API_CALLS = (
    "pseudonym", "ask_erasure", "remember_import", "held_tables", "held_rows", "audited",
    "set_account_settings", "verify_audit", "catalogue_spellings", "catalogue_track_named",
    "catalogue_words", "ask_import", "set_relay", "set_relay_state", "remove_relay",
    "create_experiment", "start_experiment", "stop_experiment", "decide_candidate",
    "pin_recording", "unpin_recording", "delete_pin",
)  # fmt: skip
#: Nobody but the owner changes these, or reads the second.
_GUARDED = ("audit", "audit_secret", "schema_migrations")
_RELATIONS = """
    select relname, relkind from pg_class
    where relnamespace = current_schema()::regnamespace and relkind in ('r', 'v', 'm')
    order by relname
"""
_FUNCTIONS = """
    select proname, oid::regprocedure::text from pg_proc
    where pronamespace = current_schema()::regnamespace
"""
#: The first release in which a table can be refreshed by others than its owner.
_MAINTAIN = 170_000


def secure(dsn: str, namespace: str, passwords: Mapping[Part, str]) -> bool:
    """Make the roles of a schema, give those with a password a login, and grant what each may do.

    Parameters
    ----------
    dsn
        Of the owner of the tables, who may create roles.
    passwords
        Part -> password. A role without one keeps the login it has; at first it has none.

    Returns
    -------
    bool
        ``False``: the owner may not create roles, and nothing was done.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer.
    """
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            set_path = sql.SQL("set search_path to {}").format(sql.Identifier(namespace))
            connection.execute(set_path)
            connection.execute("select pg_advisory_xact_lock(hashtext('segue roles'))")
            _make_roles(connection, namespace, passwords)
            _grant(connection, namespace)
        return True
    except psycopg.errors.InsufficientPrivilege:
        return False
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"PostgreSQL: {first_line(error)}") from None


def _make_roles(connection: Connection, namespace: str, passwords: Mapping[Part, str]) -> None:
    for part in PARTS:
        name = role_name(namespace, part)
        role = sql.Identifier(name)
        known = connection.execute("select from pg_roles where rolname = %s", (name,)).rowcount
        if not known:
            connection.execute(sql.SQL("create role {}").format(role))
        if password := passwords.get(part):
            # Hashed here: a statement may end in the server's log.
            hashed = connection.pgconn.encrypt_password(
                password.encode(), name.encode(), b"scram-sha-256"
            ).decode()
            connection.execute(
                sql.SQL("alter role {} login password {}").format(role, sql.Literal(hashed))
            )


def _grant(connection: Connection, namespace: str) -> None:
    roles = {part: sql.Identifier(role_name(namespace, part)) for part in PARTS}
    everybody = sql.SQL(", ").join([*roles.values(), sql.SQL("public")])
    schema = sql.Identifier(namespace)
    for kind in ("tables", "sequences", "functions"):
        _run(connection, f"revoke all on all {kind} in schema {{}} from {{}}", schema, everybody)
    _run(connection, "grant usage on schema {} to {}", schema, sql.SQL(", ").join(roles.values()))
    found = connection.execute(_RELATIONS).fetchall()
    tables = [name for name, kind in found if kind == "r" and name not in _GUARDED]
    views = [name for name, kind in found if kind != "r"]

    def allow(part: Part, rights: str, names: Iterable[str]) -> None:
        for name in names:
            _run(connection, f"grant {rights} on {{}} to {{}}", sql.Identifier(name), roles[part])

    allow(API, "select", [name for name in views if _VIEW.fullmatch(name)])
    allow(API, "select, insert, update (revoked_at, expires_at)", ["tokens"])
    # A login by password locks its account (`for share`), which takes a right to change a column.
    allow(API, "select, update (theme)", ["accounts"])
    allow(API, "insert", ["audit"])
    allow(SINK, "select, insert, update, delete", _HISTORY)
    allow(SINK, "insert", ["audit"])
    allow(RELAY, "select, insert, update, delete", _RELAY)
    allow(RELAY, "select", ["merged_plays"])
    allow(ADMIN, "select, insert, update, delete, truncate", tables)
    allow(ADMIN, "select", [*views, "schema_migrations"])
    allow(ADMIN, "select, insert", ["audit"])
    if connection.info.server_version >= _MAINTAIN:
        allow(ADMIN, "maintain", [name for name, kind in found if kind == "m"])
    calls: dict[Part, tuple[str, ...]] = {API: _API_CALLS, SINK: ("pseudonym",), RELAY: ()}
    for name, signature in connection.execute(_FUNCTIONS).fetchall():
        function = sql.SQL(signature)
        for part in PARTS:
            if part == ADMIN or name in calls[part]:
                _run(connection, "grant execute on function {} to {}", function, roles[part])


def _run(connection: Connection, statement: str, *parts: sql.Composable) -> None:
    connection.execute(sql.SQL(statement).format(*parts))
