"""No two names of a home mean the same file, and the rest of the code does not invent others."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from contracts import channels
from contracts.features import Keys
from contracts.home import HomePaths
from contracts.settings import Settings
from contracts.topics import Kind
from contracts.workers import BY_NAME
from tests.conftest import ROOT

PLACES = {
    name: getattr(HomePaths(Path("/h")), name)
    for name, value in inspect.getmembers(HomePaths)
    if isinstance(value, property)
}


def test_every_name_means_a_path_of_its_own_within_the_home() -> None:
    assert len(set(PLACES.values())) == len(PLACES)
    assert all(path.is_relative_to("/h") for path in PLACES.values())
    assert not {path.name for path in PLACES.values()} & {"valkey", "tansu", "kafka", "postgres"}


def test_a_host_may_keep_its_model_elsewhere() -> None:
    shared = Settings.from_env({"SEGUE_HOME": "/h", "SEGUE_MODEL": "/local"})
    assert (shared.paths.model, shared.paths.lake) == (Path("/local"), Path("/h/lake"))
    assert shared.paths.quality_history == Path("/local/quality.jsonl"), "one writer a file"


def test_no_other_file_joins_such_a_name_to_a_home() -> None:
    joined = re.compile(r'home(?:\.path)? / "')
    for folder in ("streams", "batch", "api", "infra"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not joined.search(path.read_text()), f"{path}: name it in contracts/home.py"


def test_redis_keys_of_logins_match_their_pattern() -> None:
    keys = Keys("segue", 4)
    assert keys.lastfm_login("abc") == keys.lastfm_logins.replace("*", "abc")
    assert len(keys.lastfm_login("x" * 500)) == len(keys.lastfm_login("x" * 64))


def test_the_migrations_notify_the_channel_the_api_listens_to() -> None:
    migrations = (ROOT / "infra" / "postgres").rglob("*.sql")
    notified = re.findall(r"pg_notify\('(\w+)'", "".join(path.read_text() for path in migrations))
    assert set(notified) == {channels.TOKENS}


def test_kinds_and_workers_can_be_parts_of_names() -> None:
    for name in (*BY_NAME, *(kind.table for kind in Kind)):
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name), name
