"""What is granted exists: a dropped table or function must leave the grants too."""

from __future__ import annotations

from infra.stack import grants
from tests.contracts.sql.check import relations
from tests.contracts.sql.test_sql import every, schema


def test_tables_and_functions_of_the_grants_exist() -> None:
    assert {*grants._HISTORY, *grants._RELAY} <= set(schema().tables)
    assert set(grants._API_CALLS) <= schema().functions


def _tables_of(*files: str) -> set[str]:
    named = {name for text in every() if text.file in files for name in relations(text.sql)}
    return named & set(schema().tables)


def test_the_history_sink_may_write_every_table_it_names() -> None:
    named = _tables_of("streams/settle.py", "streams/upsert.py", "streams/feedback_history.py")
    assert named <= set(grants._HISTORY)


def test_the_relay_may_use_every_table_it_names() -> None:
    assert _tables_of("streams/relay/queue.py") == {"relays", "relayed_plays", "merged_plays"}
