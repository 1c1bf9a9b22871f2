"""What is granted exists: a dropped table or function must leave the grants too."""

from __future__ import annotations

from infra.stack import grants
from tests.contracts.sql.check import relations
from tests.contracts.sql.test_sql import every, schema


def test_tables_and_functions_of_the_grants_exist() -> None:
    assert set(grants._HISTORY) <= set(schema().tables)
    assert set(grants._API_CALLS) <= schema().functions


def test_the_history_sink_may_write_every_table_it_names() -> None:
    files = ("streams/settle.py", "streams/tell.py", "streams/feedback_history.py")
    named = {name for text in every() if text.file in files for name in relations(text.sql)}
    assert named & set(schema().tables) <= set(grants._HISTORY)
