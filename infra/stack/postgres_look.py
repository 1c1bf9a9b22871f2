"""Whether the address of PostgreSQL reads the schema of this deployment."""

from __future__ import annotations

from contracts.postgres import connect, place
from contracts.settings import Settings

_LOOK = """
    select current_schema(), exists (select from pg_namespace where nspname = %(schema)s),
        has_schema_privilege(to_regnamespace(quote_ident(%(schema)s)), 'usage')
"""


def faults(settings: Settings) -> list[tuple[str, str]]:
    """Return what is wrong with the address and its login, and what to do about it.

    Raises
    ------
    StoreUnavailable
        PostgreSQL does not answer, or refuses the login.
    """
    dsn, schema = settings.postgres_dsn, settings.schema
    with connect(dsn, seconds=5) as connection:
        row = connection.execute(_LOOK, {"schema": schema}).fetchone()
    assert row is not None
    current, present, usable = row
    if not present:
        return [(f"{place(dsn)}: there is no schema {schema}", "create it with: segue init")]
    if not usable:
        todo = f"run segue init as the owner of the tables, or: grant usage on schema {schema}"
        return [(f"{place(dsn)}: the login may not use schema {schema}", todo)]
    if current != schema:
        todo = (
            f"end the address in ?options=-csearch_path%3D{schema}, or set SEGUE_POSTGRES_SCHEMA "
            "to the schema that holds the tables"
        )
        return [(f"{place(dsn)}: SEGUE_POSTGRES_DSN reads schema {current}, not {schema}", todo)]
    return []
