"""Writes the dbt macros that carry :mod:`contracts.plays` into the warehouse.

``python -m batch.dbt_macros`` after a change of the definitions; a test compares the file with what
this module would write.
"""

from __future__ import annotations

from pathlib import Path

from contracts import placeholders, plays, plays_sql
from contracts.folding import FOLD_VERSION

FILE = Path(__file__).parent / "dbt" / "macros" / "plays.sql"
_COLUMNS = ("ms_played", "duration_ms", "is_skipped")
_ARGUMENTS = ", ".join(f"{name}='{name}'" for name in _COLUMNS)
_FILLED = tuple(f"{{{{ {name} }}}}" for name in _COLUMNS)


def text() -> str:
    """Return the file of macros."""
    parts = [
        "{# Written by `python -m batch.dbt_macros` from contracts/plays.py: do not edit. #}\n",
        _macro("session_gap_seconds", "", str(plays.SESSION_GAP)),
        _macro("clock_skew_hours", "", str(plays.WAREHOUSE_SKEW_HOURS)),
        _macro("first_play", "", f"cast('{plays.FIRST_PLAY:%Y-%m-%d}' as timestamp)"),
        _macro("fold_version", "", str(FOLD_VERSION)),
        _macro(
            "is_placeholder",
            "artist, title",
            "({{ folded(artist) }} in ("
            + placeholders.sql_names(placeholders.ARTISTS)
            + ")\n    or {{ folded(title) }} in ("
            + placeholders.sql_names(placeholders.TITLES)
            + "))",
        ),
        _macro("known_length", "duration_ms='duration_ms'", plays_sql.known_length(_FILLED[1])),
    ]
    for name, expression in {
        "heard_percent": plays_sql.heard,
        "was_skipped": plays_sql.was_skipped,
        "heard_ms": plays_sql.heard_ms,
        "is_counted": plays_sql.counts,
    }.items():
        parts.append(_macro(name, _ARGUMENTS, expression(*_FILLED)))
    return "\n".join(parts)


def _macro(name: str, arguments: str, sql: str) -> str:
    return f"{{% macro {name}({arguments}) -%}}\n    {sql}\n{{%- endmacro %}}\n"


if __name__ == "__main__":
    FILE.write_text(text())
