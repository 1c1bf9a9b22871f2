"""The fold of names inside DuckDB: dbt loads this module as a plugin (``dbt/profiles.yml``).

The warehouse so folds names with the very function that everything else uses. Snowflake runs the
text of the same function (``infra/snowflake/035_functions.sql``).
"""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin

from contracts.ids import normalise

NAME = "fold_name"


def folded(names: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return names folded; each distinct name of the array is folded once."""
    array = names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names
    codes = array.dictionary_encode()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.combine_chunks()
    return pa.array(map(normalise, codes.dictionary.to_pylist()), pa.string()).take(codes.indices)


def register(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``fold_name(text)`` known to a connection."""
    create: Any = connection.create_function  # its stub knows no functions of Arrow arrays
    create(NAME, folded, ["VARCHAR"], "VARCHAR", type="arrow")


class Plugin(BasePlugin):
    """Registers the function on dbt's connection."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """See :func:`register`."""
        register(conn)
