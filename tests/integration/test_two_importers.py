"""Two importers at once: each uploaded file is imported by one of them, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from contracts.accounts import ADD_ACCOUNT
from contracts.settings import Settings
from infra.operations.imports import uploads, worker
from infra.operations.imports.uploads import Connection, Upload
from infra.stack.postgres import Postgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

_SECONDS = 60.0


@pytest.fixture
def settings(postgres: Postgres, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, postgres_dsn=postgres.address)


@pytest.fixture
def waiting(settings: Settings) -> Iterator[list[UUID]]:
    """Eight uploads that wait, and no other one."""
    ids, user = [uuid4() for _ in range(8)], f"uploader-{uuid4().hex[:8]}"
    with psycopg.connect(settings.postgres_dsn, autocommit=True) as connection:
        connection.execute("delete from imports where state in ('waiting', 'running')")
        connection.execute(ADD_ACCOUNT, {"user": user})
        for n, id_ in enumerate(ids):
            values = (id_, user, f"{n}.csv", 1, bytes([n]) * 32, False)
            connection.execute("select ask_import(%s, %s, %s, %s, %s, %s)", values)
            file = Upload(id_, user, "", False).file(settings.paths.uploads)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("artist,title,played_at")
        yield ids
        connection.execute("delete from imports where user_id = %s", (user,))


def states(settings: Settings, ids: list[UUID]) -> set[str]:
    with psycopg.connect(settings.postgres_dsn) as connection:
        rows = connection.execute("select state from imports where id = any(%s)", (ids,))
        return {state for (state,) in rows}


def test_each_file_is_imported_once_and_two_at_the_same_time(
    settings: Settings, waiting: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2)
    imported: list[UUID] = []

    def importing(
        _: Settings, connection: Connection, upload: Upload, stopping: threading.Event
    ) -> None:
        """Wait until the other process imports a file too; posting plays is not of interest."""
        imported.append(upload.id)
        together.wait(_SECONDS)
        connection.execute("update imports set state = 'done' where id = %s", (upload.id,))

    monkeypatch.setattr(worker, "_import", importing)

    def process() -> None:
        with psycopg.connect(settings.postgres_dsn, autocommit=True) as connection:
            while worker.work_one(settings, connection, threading.Event()):
                pass

    threads = [threading.Thread(target=process) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_SECONDS)
    assert sorted(imported) == sorted(waiting)
    assert states(settings, waiting) == {"done"}


def test_a_file_that_the_other_importer_has_just_refused_is_not_taken_again(
    settings: Settings, waiting: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was open when this process read the list, and is locked by nobody any more."""
    ask, first = uploads._yes, waiting[0]

    def after_the_other(connection: Connection, statement: str, upload: Upload) -> bool:
        if upload.id == first and statement == uploads._LOCK:
            with psycopg.connect(settings.postgres_dsn, autocommit=True) as other:
                uploads.note_failed(other, upload, "unknown-format", "It is no export.")
        return ask(connection, statement, upload)

    monkeypatch.setattr(uploads, "_yes", after_the_other)
    with (
        psycopg.connect(settings.postgres_dsn, autocommit=True) as connection,
        uploads.claimed(connection) as upload,
    ):
        assert upload is not None
        assert upload.id == waiting[1]
