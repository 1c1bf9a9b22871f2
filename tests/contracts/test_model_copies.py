"""A new host starts from the model that another host uploaded; an erasure leaves no copy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from obstore.store import MemoryStore

from contracts import model_copies
from contracts.model_copies import EVERY_SECONDS, ModelCopies
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
