"""Checkpoints, credentials and shapes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from batch.collectors.checkpoints import Checkpoints
from batch.collectors.credentials import Credential, require
from batch.collectors.errors import ShapeBroken
from batch.collectors.run import Request, _checkpoints
from batch.collectors.shape import differences, read
from batch.collectors.tally import Tally
from contracts.errors import ConfigurationError, IncompatibleState
from contracts.settings import Settings
from infra.operations.erasure.staging import _checkpoints as _forget_checkpoints


class Place(msgspec.Struct):
    page: int


def test_a_checkpoint_is_the_last_one_saved(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path)
    assert store.load("ada", Place) is None
    for page in (3, 2):
        store.save("ada", Place(page))
    store.save("../ada/..", Place(9))
    assert Checkpoints(tmp_path).load("ada", Place) == Place(2)
    assert {p.parent for p in tmp_path.rglob("*.json")} == {tmp_path / "checkpoints"}


def test_another_listener_does_not_resume_the_walk_of_an_account(tmp_path: Path) -> None:
    """Plays of one account at the source, first under the wrong name in Segue."""

    def of(listener: str | None) -> Checkpoints:
        request = Request("lastfm", Settings(), "", "", user="ada", listener=listener)
        return _checkpoints(request, tmp_path)

    of("eva").save("plays/ada", Place(3))
    assert of("eva").load("plays/ada", Place) == Place(3)
    assert of("bob").load("plays/ada", Place) is of(None).load("plays/ada", Place) is None
    of("ada").save("plays/ada", Place(4))
    assert of(None).load("plays/ada", Place) == Place(4)
    assert _forget_checkpoints(tmp_path, "eva") == 1
    assert of("eva").load("plays/ada", Place) is None


def test_a_checkpoint_of_another_layout_is_refused(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path)
    store.save("ada", Tally())
    with pytest.raises(IncompatibleState, match="move it away"):
        store.load("ada", Place)


KEY = Credential("lastfm", "api_key", "create one at the site")


@pytest.mark.parametrize("where", ["env", "file", "home"])
def test_a_credential_comes_from_three_places(tmp_path: Path, where: str) -> None:
    env = {}
    if where == "env":
        env["SEGUE_LASTFM_API_KEY"] = "k1"
    elif where == "file":
        (tmp_path / "secret").write_text("k1\n")
        env["SEGUE_LASTFM_API_KEY_FILE"] = str(tmp_path / "secret")
    else:
        (tmp_path / "credentials.toml").write_text('[lastfm]\napi_key = "k1"\n')
    assert require([KEY], tmp_path, env) == {"api_key": "k1"}


def test_a_missing_credential_says_what_to_set_and_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        require([KEY], tmp_path, {})
    for part in ("SEGUE_LASTFM_API_KEY", "create one at the site", "credentials.toml", "_FILE"):
        assert part in str(error.value)


def test_a_torn_credentials_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "credentials.toml").write_text("[lastfm")
    with pytest.raises(ConfigurationError, match=r"credentials\.toml"):
        require([KEY], tmp_path, {})


class Inner(msgspec.Struct):
    text: str = msgspec.field(name="#text")
    mbid: str = ""


class Outer(msgspec.Struct):
    total: str | int
    rows: list[Inner] | Inner
    note: str | None = None


GOOD = {"total": "2", "rows": [{"#text": "a"}, {"#text": "b", "mbid": "x"}]}


def test_an_answer_of_the_promised_shape_has_no_differences() -> None:
    assert differences(GOOD, Outer) == {}
    assert differences({"total": 2, "rows": {"#text": "a"}, "note": None}, Outer) == {}


def test_differences_are_counted_by_path() -> None:
    document = {"total": True, "rows": [{"text": "a"}, {"text": "b", "#text": 3}], "extra": 1}
    assert differences(document, Outer) == {
        ".extra unknown": 1,
        ".total is bool": 1,
        ".rows[].text unknown": 2,
        ".rows[].#text missing": 1,
        ".rows[].#text is int": 1,
    }


def test_reading_counts_drift_and_refuses_only_what_it_cannot_use() -> None:
    tally = Tally()
    rows = read(msgspec.json.encode({**GOOD, "extra": 1}), Outer, tally)
    assert rows.rows[1].mbid == "x"
    assert tally.drift == {"Outer.extra unknown": 1}
    with pytest.raises(ShapeBroken, match="Outer"):
        read('{"total": "1"}', Outer, tally)
    assert tally.drift["Outer.rows missing"] == 1
