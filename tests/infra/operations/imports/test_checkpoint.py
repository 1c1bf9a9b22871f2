"""Where an import stands survives a kill; imports of one file do not meet."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from contracts.errors import StoreUnavailable
from infra.operations.imports.checkpoint import key_of, slot_for
from infra.operations.imports.erase import forget
from infra.operations.imports.rejects import Reject
from infra.operations.imports.rows import Options
from infra.operations.imports.run import Request, _key


def reject(reason: str) -> Reject:
    return Reject(
        file="f", record=1, format="csv", reason=reason, detail="", raw="half \ud800 pair"
    )


def test_what_was_not_saved_is_undone(tmp_path: Path) -> None:
    with slot_for(tmp_path, "key") as slot:
        slot.keep([reject("one")])
        slot.state.record = 10
        slot.state.rejected = {"one": 1}
        slot.save()
        slot.keep([reject("two")])  # killed before the next save
        rejects = slot.rejects
    assert len(rejects.read_bytes().splitlines()) == 2
    with slot_for(tmp_path, "key") as slot:
        assert slot.state.record == slot.state.read + 9 == 10
        (line,) = rejects.read_bytes().splitlines()
        assert msgspec.json.decode(line, type=Reject).reason == "one"
        slot.state.finished = True
        slot.save()
    with slot_for(tmp_path, "key") as slot:
        assert slot.state.record == 0  # the next import of the file starts from scratch


def test_a_torn_state_begins_anew(tmp_path: Path) -> None:
    with slot_for(tmp_path, "key") as slot:
        slot.save()
        (slot.folder / "state.json").write_bytes(b'{"member": 3')
    with slot_for(tmp_path, "key") as slot:
        assert slot.state.member == 0


def test_imports_of_one_file_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    with slot_for(tmp_path, "key") as one, slot_for(tmp_path, "key") as other:
        assert one.folder != other.folder
    with slot_for(tmp_path, "key") as again:
        assert again.folder == one.folder


def test_a_file_is_known_by_its_content_and_by_what_is_asked(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"a" * 5_000_000)
    other.write_bytes(b"a" * 5_000_000)
    assert key_of(one, "ada") == key_of(other, "ada") != key_of(one, "bob")
    other.write_bytes(b"a" * 4_999_999 + b"b")
    assert key_of(one, "ada") != key_of(other, "ada")


def test_another_account_does_not_resume_an_import(tmp_path: Path) -> None:
    """Without --user plays go to the token's account; with it any token may resume."""
    file = tmp_path / "plays.csv"
    file.write_bytes(b"artist,title,time\n")

    def key(token: str, user: str = "") -> str:
        options = Options(user=user)
        return _key(Request(file=file, api="a", token=token, home=tmp_path, options=options))

    assert key("one") == key("one") != key("other")
    assert key("one", "ada") == key("other", "ada") != key("one", "bob")


def test_a_listener_who_leaves_takes_the_rejects_along(tmp_path: Path) -> None:
    with slot_for(tmp_path, "own") as slot:
        slot.state.user = "ada"
        slot.keep([reject("one"), reject("two")])
        slot.save()
    with slot_for(tmp_path, "many") as slot:
        slot.keep([reject("ada"), reject("bob")])
        slot.state.record = 7
        slot.save()
        with pytest.raises(StoreUnavailable, match="an import is running"):
            forget(tmp_path, "ada")
    assert forget(tmp_path, "ada") == 3
    left = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"ada" in content for content in left)
    with slot_for(tmp_path, "many") as slot:  # resumes at its checkpoint
        assert slot.state.record == 7
        assert b"bob" in slot.rejects.read_bytes()
        assert b"\0" not in slot.rejects.read_bytes()
