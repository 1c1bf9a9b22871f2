"""Settings travel between processes unchanged, hide secrets and name what is wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.environ import Variable, read, variables, written
from contracts.errors import ConfigurationError
from contracts.options import GROUPS, WarehouseLimits, known, misspelt
from contracts.settings import Settings
from contracts.snowflake import Snowflake, SnowflakeSetup
from tests.conftest import ROOT

EVERY = [(group, each) for group in GROUPS.values() for each in variables(group)]
SECRETS = [(group, each) for group, each in EVERY if each.secret]
#: Users and roles in Snowflake are called so too.
ROLES = {"SEGUE_LOADER", "SEGUE_TRANSFORMER", "SEGUE_ERASER", "SEGUE_ADMIN", "SEGUE_ANALYST"}
NUMBERS = [(group, each) for group, each in EVERY if each.kind in (int, float)]


def name_of(value: object) -> str | None:
    return value.name if isinstance(value, Variable) else None


def test_settings_survive_the_environment() -> None:
    settings = Settings(
        home=Path("some/home"), port=8123, partitions=7, lake_seconds=0.5, accept_cut_log=True
    )
    assert Settings.from_env(settings.environ()) == settings


def test_the_schema_may_outlive_the_namespace() -> None:
    assert Settings(namespace="music").schema == "music"
    assert Settings(namespace="music2", postgres_schema="music").schema == "music"


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.__name__)
def test_every_group_survives_the_environment(group: type[Any]) -> None:
    changed = {
        each.field: (each.default or 1) * 2 if each.kind in (int, float) else "text"
        for each in variables(group)
        if each.kind in (int, float, str) and not str(each.rule)
    }
    settings = group(**changed)
    assert read(group, written(settings)) == settings
    assert read(group, {}) == group()


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("postgresql://secret\n")
    env = {"SEGUE_POSTGRES_DSN_FILE": str(tmp_path / "dsn")}
    assert Settings.from_env(env).postgres_dsn == "postgresql://secret"
    env["SEGUE_POSTGRES_DSN"] = ""  # as compose leaves what is not set
    assert Settings.from_env(env).postgres_dsn == "postgresql://secret"


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"SEGUE_PORT": "eighty"}, r"SEGUE_PORT='eighty' must be a whole number, at least 0"),
        ({"SEGUE_PORT": "70000"}, r"SEGUE_PORT='70000' must be .* at most 65535"),
        ({"SEGUE_PARTITIONS": "0"}, r"SEGUE_PARTITIONS='0' must be a whole number, at least 1"),
        ({"SEGUE_EXPLORE_SHARE": "1.5"}, r"SEGUE_EXPLORE_SHARE='1.5' must be a number.* below 1"),
        ({"SEGUE_EXPLORE_SHARE": "nan"}, "SEGUE_EXPLORE_SHARE='nan'"),
        ({"SEGUE_PLAYS_RETENTION_DAYS": "-1"}, "SEGUE_PLAYS_RETENTION_DAYS"),
        ({"SEGUE_PLAYS_RETENTION_DAYS": "ever"}, "SEGUE_PLAYS_RETENTION_DAYS"),
        ({"SEGUE_ACCEPT_CUT_LOG": "2"}, r"SEGUE_ACCEPT_CUT_LOG='2' must be 0 or 1"),
        ({"SEGUE_ADMIN_TOKEN_FILE": "/does/not/exist"}, "SEGUE_ADMIN_TOKEN_FILE"),
    ],
)
def test_a_bad_setting_is_one_line_that_says_what_to_do(env: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        Settings.from_env(env)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("group", "each"), NUMBERS, ids=name_of)
@given(text=st.text(max_size=20))
def test_any_text_is_a_number_or_refused(group: type[Any], each: Variable, text: str) -> None:
    with contextlib.suppress(ConfigurationError):  # and nothing else is raised
        assert each.rule.allows(each.parse(text))


@pytest.mark.parametrize(("group", "each"), SECRETS, ids=name_of)
def test_a_secret_is_never_shown(group: type[Any], each: Variable) -> None:
    settings = group(**{each.field: "hush-hush"})
    for shown in (repr(settings), str(settings), f"{settings!r:.9999}"):
        assert "hush" not in shown
        assert each.field not in shown


def test_an_error_about_a_secret_does_not_show_it() -> None:
    (each,) = [v for v in variables(Settings) if v.field == "admin_token"]
    number = dataclasses.replace(each, kind=int)
    with pytest.raises(ConfigurationError) as caught:
        number.parse("hush-hush")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("group", "each"), EVERY, ids=name_of)
def test_whatever_is_called_a_secret_is_declared_as_one(group: type[Any], each: Variable) -> None:
    words = r"(?<!per_)token|secret|password|(?<!public)_key|pepper|dsn|redis_url|client_id"
    assert bool(re.search(words, each.field)) == each.secret
    assert each.text.endswith((".", ")"))


def test_a_misspelt_variable_is_named_with_the_one_that_was_meant() -> None:
    env = {"SEGUE_PARTITON": "8", "SEGUE_NOTHING_LIKE_IT": "1", "SEGUE_PORT_FILE": "/x", "HOME": ""}
    wrong = misspelt(env)
    assert len(wrong) == 2
    assert wrong[1].startswith("SEGUE_PARTITON is not a setting; did you mean SEGUE_PARTITIONS?")
    assert "SEGUE_NOTHING_LIKE_IT is not a setting and is ignored" in wrong[0]


def test_the_command_line_names_a_misspelt_variable(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", "status", "--home", str(tmp_path)],
        env={"SEGUE_PARTITON": "8", "PATH": "/usr/bin"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "SEGUE_PARTITON is not a setting" in done.stderr
    assert "SEGUE" not in done.stdout


def test_no_variable_that_the_sources_or_documents_name_is_missing() -> None:
    whole = re.compile(r"(?<![\w<])SEGUE_[A-Z][A-Z_]*[A-Z](?![\w<{(*])")
    there = known()
    for folder in ("contracts", "streams", "batch", "api", "infra", "docs"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix not in {".py", ".md", ".yml", ".sql"} or path.name == "options.py":
                continue
            for name in whole.findall(path.read_text()):
                begun = any(other.startswith(f"{name}_") for other in there)
                assert name in there or begun or name in ROLES, f"{path}: {name}"


def test_nothing_else_reads_our_variables() -> None:
    stray = re.compile(r"(?:environ\.get|getenv|environ\[)\(?[\"f']+SEGUE_(?!BIN)")
    for folder in ("contracts", "online_model", "streams", "batch", "api", "infra"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not stray.search(path.read_text()), f"{path}: declare it in contracts/options.py"


def test_the_eraser_is_who_its_own_variables_say_and_no_mixture() -> None:
    env = {
        "SEGUE_SNOWFLAKE_ACCOUNT": "a-b",
        "SEGUE_SNOWFLAKE_USER": "LOADER",
        "SEGUE_SNOWFLAKE_PASSWORD": "of the loader",
        "SEGUE_SNOWFLAKE_ROLE": "LOADER",
        "SEGUE_SNOWFLAKE_DATABASE": "D",
    }
    found = Snowflake.from_env(env | {"SEGUE_SNOWFLAKE_ERASER_USER": "ERASER"}, "eraser")
    assert found == Snowflake(account="a-b", user="ERASER", database="D")
    assert Snowflake.from_env(env, "eraser") == Snowflake.from_env(env)


def test_defaults_that_depend_on_the_machine_are_not_declared_as_values() -> None:
    assert read(WarehouseLimits, {}) == WarehouseLimits(memory="4GB", temp="", threads=0)
    assert SnowflakeSetup().machine_addresses == "'0.0.0.0/0'"
