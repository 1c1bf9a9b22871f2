"""Runs the SQL scripts of this folder on a Snowflake account (``segue snowflake apply``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from contracts.errors import Terminal
from contracts.snowflake import Snowflake
from infra.snowflake.scripts import Statement, statements


class NotApplied(Terminal):
    """Snowflake refused a statement.

    The statements before it have taken effect; running all again is safe.
    """


def apply(
    snowflake: Snowflake,
    env: Mapping[str, str] | None = None,
    progress: Callable[[Statement], None] = lambda statement: None,
) -> int:
    """Run every statement and return how many there were.

    Parameters
    ----------
    snowflake
        A user who may take the roles ACCOUNTADMIN, SECURITYADMIN, USERADMIN and SYSADMIN.
    progress
        Called before each statement.

    Raises
    ------
    NotApplied
        Naming the file and the statement.
    """
    from snowflake.connector.errors import Error

    todo = statements(snowflake, env)
    connection = snowflake.connect(in_database=False)
    try:
        for statement in todo:
            progress(statement)
            try:
                connection.cursor().execute(statement.sql)
            except Error as error:
                first = statement.sql.splitlines()[0]
                raise NotApplied(f"{statement.file}: {first} ...: {error.msg}") from None
    finally:
        connection.close()
    return len(todo)
