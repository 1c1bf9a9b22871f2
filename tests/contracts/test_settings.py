"""Settings travel between processes unchanged and name what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.errors import ConfigurationError
from contracts.settings import Settings


def test_settings_survive_the_environment() -> None:
    settings = Settings(home=Path("some/home"), port=8123, partitions=7, lake_seconds=0.5)
    assert Settings.from_env(settings.environ()) == settings


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("postgresql://secret\n")
    env = {"SEGUE_POSTGRES_DSN_FILE": str(tmp_path / "dsn")}
    assert Settings.from_env(env).postgres_dsn == "postgresql://secret"
    env["SEGUE_POSTGRES_DSN"] = ""  # as compose leaves what is not set
    assert Settings.from_env(env).postgres_dsn == "postgresql://secret"


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"SEGUE_PORT": "eighty"}, "SEGUE_PORT"),
        ({"SEGUE_PARTITIONS": "0"}, "SEGUE_PARTITIONS"),
        ({"SEGUE_EXPLORE_SHARE": "1.5"}, "SEGUE_EXPLORE_SHARE"),
        ({"SEGUE_PLAYS_RETENTION_DAYS": "-1"}, "SEGUE_PLAYS_RETENTION_DAYS"),
        ({"SEGUE_PLAYS_RETENTION_DAYS": "ever"}, "SEGUE_PLAYS_RETENTION_DAYS"),
        ({"SEGUE_ACCEPT_CUT_LOG": "2"}, "SEGUE_ACCEPT_CUT_LOG"),
        ({"SEGUE_ADMIN_TOKEN_FILE": "/does/not/exist"}, "SEGUE_ADMIN_TOKEN_FILE"),
    ],
)
def test_a_bad_setting_is_named(env: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Settings.from_env(env)
