"""The API's look into object storage: files arrive, and a storage that is away stops nothing."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from api import published_files
from api.published_files import PublishedFiles
from contracts.errors import StoreUnavailable
from contracts.publication import REPORTS, Publication
from contracts.settings import Settings


@pytest.mark.usefixtures("bucket")
async def test_files_arrive_also_after_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(published_files, "EVERY_SECONDS", 0.01)
    here, there = (Settings(home=tmp_path / name, lake="s3://m") for name in ("here", "there"))
    pull, away, failed = Publication.pull, True, 0

    def sometimes(publication: Publication, *folders: str) -> None:
        nonlocal failed
        if away:
            failed += 1
            raise StoreUnavailable("no answer")
        pull(publication, *folders)

    monkeypatch.setattr(Publication, "pull", sometimes)
    here.paths.reports.mkdir(parents=True)
    (here.paths.reports / "a.csv").write_text("1")
    Publication(here).push(REPORTS)
    files = PublishedFiles(there)
    with caplog.at_level(logging.WARNING):
        files.start()
        while failed < 3:
            await asyncio.sleep(0.01)
        away = False
        while not (there.paths.reports / "a.csv").exists():
            await asyncio.sleep(0.01)
        await files.stop()
    assert [record.message for record in caplog.records] == [
        "published files cannot be fetched; retrying: no answer"
    ]


async def test_with_the_lake_in_the_home_nothing_runs(tmp_path: Path) -> None:
    files = PublishedFiles(Settings(home=tmp_path))
    files.start()
    assert files._task is None
    await files.stop()
    assert not list(tmp_path.iterdir())
