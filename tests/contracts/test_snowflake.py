"""Settings of the Snowflake side."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import ConfigurationError
from contracts.snowflake import Snowflake

ACCOUNT = {"SEGUE_SNOWFLAKE_ACCOUNT": "myorg-me"}


def test_nothing_is_configured_without_an_account() -> None:
    assert Snowflake.from_env({"SEGUE_SNOWFLAKE_USER": "x"}) is None


def test_secrets_come_from_files_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("-----BEGIN\n")
    found = Snowflake.from_env({**ACCOUNT, "SEGUE_SNOWFLAKE_PRIVATE_KEY_FILE": f"{tmp_path}/key"})
    assert found is not None
    assert found.private_key == "-----BEGIN"
    assert "BEGIN" not in repr(found)
    assert found.name("plays") == "SEGUE.RAW.PLAYS"
    assert found.pipe("plays") == "SEGUE.RAW.PLAYS_PIPE"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "https", "PORT='https' must be a whole number"),
        ("DATABASE", "a; drop", "not a plain name"),
        ("PASSWORD_FILE", "/nowhere", "cannot read /nowhere"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Snowflake.from_env({**ACCOUNT, f"SEGUE_SNOWFLAKE_{name}": value})
