"""The SQL files beside this one: filled in, and cut into statements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from contracts import folding
from contracts.environ import read, variables
from contracts.errors import ConfigurationError
from contracts.snowflake import Snowflake, SnowflakeSetup
from infra.snowflake.raw_tables import raw_tables

_FOLDER = Path(__file__).parent
#: Enough to see what would be run.
DRY = {
    "SEGUE_SNOWFLAKE_LOADER_PUBLIC_KEY": "<key-of-the-loader>",
    "SEGUE_SNOWFLAKE_TRANSFORMER_PUBLIC_KEY": "<key-of-the-transformer>",
    "SEGUE_SNOWFLAKE_ERASER_PUBLIC_KEY": "<key-of-the-eraser>",
    "SEGUE_SNOWFLAKE_MASKING_PEPPER": "<pepper>",
}
_KEY = re.compile(r"-----[A-Z ]+-----|\s+")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and the file it is from."""

    file: str
    sql: str


def statements(snowflake: Snowflake, env: Mapping[str, str] | None = None) -> list[Statement]:
    """Return everything to apply, in order.

    Parameters
    ----------
    env
        Holds ``SEGUE_SNOWFLAKE_<PARAMETER>``, or the path of a file as ``..._FILE``.

    Raises
    ------
    ConfigurationError
        A parameter is missing (all missing ones are named), or its file cannot be read.
    """
    values = {
        "database": snowflake.database.upper(),
        "raw_tables": raw_tables(f"{snowflake.database.upper()}.RAW"),
        "fold": Path(folding.__file__).read_text(),
        "fold_version": str(folding.FOLD_VERSION),
        **_parameters(env),
    }
    found = []
    for file in sorted(_FOLDER.glob("*.sql")):
        text = Template(file.read_text()).substitute(values)
        found += [Statement(file.name, sql) for sql in split(text)]
    return found


def split(text: str) -> list[str]:
    """Cut a script at the semicolons that end a line; whole-line comments are dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    parts = re.split(r";[ \t]*(?:\n|$)", "\n".join(lines))
    return [part.strip() for part in parts if part.strip()]


def _parameters(env: Mapping[str, str] | None) -> dict[str, str]:
    values: dict[str, str] = {}
    missing = []
    setup = read(SnowflakeSetup, env)
    for each in variables(SnowflakeSetup):
        text = str(getattr(setup, each.field)).strip()
        if not text:
            missing.append(each.name)
        values[each.field] = _KEY.sub("", text) if each.field.endswith("_key") else text
    if missing:
        raise ConfigurationError(
            f"set {', '.join(missing)} (or ..._FILE): the public halves of the keys that "
            "`openssl genrsa 2048 | openssl pkcs8 -topk8 -nocrypt` makes, and a pepper that "
            "stays as long as pseudonyms are to (docs/snowflake.md)"
        )
    return values
