"""A new host starts from the model that another host uploaded; an erasure leaves no copy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore

from contracts import model_copies
from contracts.errors import StoreUnavailable
from contracts.model_copies import EVERY_SECONDS, ModelCopies
from contracts.object_store import Bucket, Changed
from contracts.settings import Settings
from online_model import ModelConfig, ModelDirectory
from tests.contracts.test_publication import keys

SETTINGS = Settings(lake="s3://music/segue", host_name="a")


def snapshot(folder: Path, *tracks: str) -> Path:
    directory = ModelDirectory(folder)
    model = directory.resume(ModelConfig(tracks=64, listeners=8))
    for track in tracks:
        model.learn_one("ada", track)
    path = directory.snapshot(model)
    directory.close()
    return path


def test_a_new_host_resumes_the_model_of_another(tmp_path: Path, bucket: MemoryStore) -> None:
    new = ModelDirectory(tmp_path / "new")
    assert not ModelCopies(SETTINGS, "log").fetch(new.path)
    path = snapshot(tmp_path / "old", "intro", "verse")
    assert ModelCopies(SETTINGS, "log").offer(path, lambda: True)
    assert not ModelCopies(SETTINGS, "another log").fetch(new.path)
    assert ModelCopies(SETTINGS, "log").fetch(new.path)
    assert new.resume().plays_learned == 2


def test_one_host_uploads_each_hour(tmp_path: Path, bucket: MemoryStore) -> None:
    now = 1000.0
    a, b = (
        ModelCopies(replace(SETTINGS, host_name=name), "log", lambda: now) for name in ("a", "b")
    )
    path = snapshot(tmp_path, "intro")
    assert a.offer(path, lambda: True)
    assert not b.offer(path, lambda: True)
    now += EVERY_SECONDS
    assert b.offer(path, lambda: True)
    assert keys(bucket) == ["segue/model/b-4600.bin", "segue/model/newest.json"]

    def meanwhile() -> bool:
        """Another host uploads between the upload and the index."""
        return a.offer(path, lambda: True)

    now += EVERY_SECONDS
    assert not b.offer(path, meanwhile)
    assert keys(bucket) == ["segue/model/a-8200.bin", "segue/model/newest.json"]


def test_an_index_whose_answer_was_lost_keeps_its_copy(
    tmp_path: Path, bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, write, error = 1000.0, Bucket.write, StoreUnavailable("no answer")

    def written(*arguments: Any, **named: Any) -> str:
        write(*arguments, **named)
        raise error

    copies = ModelCopies(SETTINGS, "log", lambda: now)
    path = snapshot(tmp_path, "intro")
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "write", written)
        with pytest.raises(StoreUnavailable):
            copies.offer(path, lambda: True)
        assert copies.fetch(tmp_path / "b"), "the index names the upload"
        now, error = now + EVERY_SECONDS, Changed("the library has repeated the write")
        assert copies.offer(path, lambda: True)
    assert copies.fetch(tmp_path / "c")
    assert keys(bucket) == ["segue/model/a-4600.bin", "segue/model/newest.json"]


def test_an_upload_that_no_index_names_is_deleted_by_the_next_one_of_its_host(
    tmp_path: Path, bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any, **__: Any) -> str:
        raise StoreUnavailable("no answer")

    now = 1000.0
    names = ("a", "a-2")
    one, other = (
        ModelCopies(replace(SETTINGS, host_name=name), "log", lambda: now) for name in names
    )
    path = snapshot(tmp_path, "intro")
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "write", refused)
        for copies in (one, other):
            with pytest.raises(StoreUnavailable):
                copies.offer(path, lambda: True)
    now += 1
    assert one.offer(path, lambda: True)
    found = ["segue/model/a-1001.bin", "segue/model/a-2-1000.bin", "segue/model/newest.json"]
    assert keys(bucket) == found


def test_a_snapshot_of_before_an_erasure_is_not_kept(tmp_path: Path, bucket: MemoryStore) -> None:
    copies = ModelCopies(SETTINGS, "log")
    path = snapshot(tmp_path, "intro")
    assert not copies.offer(path, lambda: False)
    assert keys(bucket) == []
    assert copies.offer(path, lambda: True)
    assert model_copies.forget(SETTINGS) == {"files": 2}
    assert keys(bucket) == []
    assert copies.offer(path, lambda: True), "the next copy need not wait an hour"
    assert model_copies.forget(Settings()) == {}
