"""Generates ``docs/settings.md`` from the declarations (``make pages``)."""

from __future__ import annotations

from pathlib import Path

from contracts.environ import Variable, variables
from contracts.options import ELSEWHERE, GROUPS

_HEAD = """\
# Settings

<!-- Generated from contracts by `make pages`: change the declaration there, not this page. -->

Every process reads its settings from environment variables when it starts. `segue up` sets those of
the local stack itself. For each variable there is a second one, `<NAME>_FILE`: a file that holds
the value, used where the variable is empty. Use it for secrets (marked): their values appear
neither in logs nor in errors. A variable that begins with `SEGUE_` and is not listed here is named
in a warning. A value that cannot be used ends the process with one line: the variable, its value
and what it must be.
"""
_SNOWFLAKE = """

The eraser may be another user than the process it runs beside: where `SEGUE_SNOWFLAKE_ERASER_USER`
is set, `SEGUE_SNOWFLAKE_ERASER_` and `PASSWORD`, `PRIVATE_KEY`, `ROLE` or `WAREHOUSE` count for it
([more](snowflake.md)).
"""


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, group in GROUPS.items():
        parts.append(f"\n## {title}\n\n| variable | default | meaning |\n|---|---|---|\n")
        parts += [_row(each) for each in variables(group)]
        if title == "Snowflake":
            parts.append(_SNOWFLAKE)
    parts.append("\n## Read by other programs\n\n| variable | who reads it |\n|---|---|\n")
    parts += [f"| `{name}` | {text} |\n" for name, text in ELSEWHERE.items()]
    return "".join(parts)


def _row(each: Variable) -> str:
    default = each.default
    if isinstance(default, bool):
        default = int(default)
    shown = "" if default in (None, "") else f"`{default}`"
    notes = [each.text, *([f"Must be {each.rule}."] if str(each.rule) else [])]
    notes += ["Secret."] if each.secret else []
    return f"| `{each.name}` | {shown} | {' '.join(notes)} |\n"


if __name__ == "__main__":
    Path("docs/settings.md").write_text(render())
