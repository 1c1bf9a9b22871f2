"""Files that one home publishes and others fetch: whole, in order, and never over another's."""

from __future__ import annotations

from pathlib import Path

import pytest
from obstore.store import MemoryStore

from contracts import batch_view, object_store
from contracts.errors import ConfigurationError
from contracts.object_store import Bucket, Changed, address_of, delta_options
from contracts.publication import BATCH_VIEW, REPORTS, RUNS, Publication
from contracts.settings import Settings
from contracts.whole_files import write_whole
from tests.online_model.views import view


def home(tmp_path: Path, name: str) -> Settings:
    return Settings(home=tmp_path / name, lake="s3://music/segue")


def write(settings: Settings, path: str, text: str) -> None:
    target = settings.home / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def files(settings: Settings, folder: str) -> dict[str, str]:
    root = settings.home / folder
    return {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}


def keys(store: MemoryStore) -> list[str]:
    return sorted(entry["path"] for chunk in store.list() for entry in chunk)


def test_a_home_follows_what_another_publishes(tmp_path: Path, bucket: MemoryStore) -> None:
    here, there = home(tmp_path, "here"), home(tmp_path, "there")
    write(here, "reports/top/latest.csv", "1")
    write(here, "reports/top/2026-01-01.csv", "1")
    write(here, "reports/.unfinished.1", "half")
    Publication(here).push(REPORTS)
    Publication(there).pull()
    assert files(there, REPORTS) == {"top/latest.csv": "1", "top/2026-01-01.csv": "1"}
    write(here, "reports/top/latest.csv", "2")
    (here.home / "reports/top/2026-01-01.csv").unlink()
    Publication(here).push()
    Publication(there).pull()
    assert files(there, REPORTS) == {"top/latest.csv": "2"}
    # The index and one content: what nothing names is deleted.
    assert len(keys(bucket)) == 2
    assert not list((there.home / "published/fetched").iterdir())


def test_a_generation_is_whole_before_it_is_in_service(
    tmp_path: Path, bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = home(tmp_path, "here"), home(tmp_path, "there")
    folder = here.paths.batch_view
    for generation in (1, 2):
        batch_view.write(folder, view({1: {2: 0.5}}, generation=generation))
        batch_view.promote(folder, generation)
    Publication(here).push(BATCH_VIEW)
    order: list[str] = []

    def noted(path: Path, content: bytes) -> None:
        order.append(path.name)
        write_whole(path, content)

    monkeypatch.setattr("contracts.publication.write_whole", noted)
    Publication(there).pull(BATCH_VIEW)
    assert order[-2:] == ["current", "batch_view.json"]
    assert batch_view.current(there.paths.batch_view) == 2
    assert batch_view.read(there.paths.batch_view, 1).keys.tolist() == [1, 2]
    batch_view.promote(folder, 1)
    batch_view.prune(folder, 1)
    Publication(here).push(BATCH_VIEW)
    Publication(there).pull(BATCH_VIEW)
    assert batch_view.generations(there.paths.batch_view) == batch_view.generations(folder)


def test_who_publishes_second_is_refused_and_loses_nothing(
    tmp_path: Path, bucket: MemoryStore
) -> None:
    here, there = home(tmp_path, "here"), home(tmp_path, "there")
    for settings, text in ((here, "a"), (there, "b")):
        write(settings, f"runs/{text}.json", text)
        write(settings, "runs/both.json", text)
        write(settings, "runs/lock", "1")
    Publication(here).push(RUNS)
    with pytest.raises(Changed, match=r"published/runs\.json was written by another process"):
        Publication(there).push(RUNS)
    assert files(there, RUNS)["both.json"] == "b"
    Publication(there).merge(RUNS)
    assert files(there, RUNS) == {"a.json": "a", "b.json": "b", "both.json": "a", "lock": "1"}
    Publication(here).pull()
    assert files(here, RUNS) == files(there, RUNS)


def test_what_was_not_published_yet_survives_a_pull(tmp_path: Path, bucket: MemoryStore) -> None:
    here, there = home(tmp_path, "here"), home(tmp_path, "there")
    write(here, "runs/1.json", "1")
    Publication(here).push(RUNS)
    Publication(there).pull(RUNS)
    write(there, "runs/2.json", "killed before it was published")
    write(here, "runs/3.json", "3")
    Publication(here).push(RUNS)
    Publication(there).pull(RUNS)
    assert files(there, RUNS).keys() == {"1.json", "2.json", "3.json"}


def test_a_bucket_that_was_emptied_is_filled_again(tmp_path: Path, bucket: MemoryStore) -> None:
    here = home(tmp_path, "here")
    write(here, "reports/a/latest.csv", "1")
    Publication(here).push(REPORTS)
    Bucket(here).delete(*(key.removeprefix("segue/") for key in keys(bucket)))
    Publication(here).pull()
    assert files(here, REPORTS) == {"a/latest.csv": "1"}
    Publication(here).push(REPORTS)
    assert len(keys(bucket)) == 2


def test_with_the_lake_in_the_home_nothing_happens(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with Publication(settings).changing(BATCH_VIEW):
        write(settings, "batch_view/current", "1")
    Publication(settings).merge()
    object_store.check(settings)
    assert [path.name for path in tmp_path.iterdir()] == ["batch_view"]


def test_a_store_without_conditional_writes_is_refused(
    bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(lake="s3://music")
    object_store.check(settings)
    assert keys(bucket) == []
    monkeypatch.setattr(Bucket, "write", lambda *_, **__: "")
    with pytest.raises(ConfigurationError, match="ignores the condition of a write"):
        object_store.check(settings)


@pytest.mark.parametrize("text", ["/srv/lake", "s3://", "gs://music", "s3://key@music/a"])
def test_an_address_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SEGUE_LAKE="):
        address_of(Settings(lake=text))


def test_the_library_of_the_tables_gets_the_same_address_and_key() -> None:
    settings = Settings(lake="s3://m", s3_endpoint="http://s3:1", s3_key="k", s3_secret="s")
    options = delta_options(settings)
    assert options["aws_endpoint"] == "http://s3:1"
    assert (options["aws_access_key_id"], options["aws_secret_access_key"]) == ("k", "s")
    assert delta_options(Settings()) == {}
    assert "aws_access_key_id" not in delta_options(Settings(lake="s3://m"))
