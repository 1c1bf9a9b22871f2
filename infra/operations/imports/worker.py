"""The importer: reads the files that listeners uploaded, one after the other."""

from __future__ import annotations

import logging
import threading
import time

import psycopg

from contracts.errors import ConfigurationError, SegueError, StoreUnavailable, first_line
from contracts.settings import Settings
from infra.operations.imports import uploads
from infra.operations.imports.checkpoint import State
from infra.operations.imports.rows import Options
from infra.operations.imports.run import Progress, Request, UnknownFormat
from infra.operations.imports.run import run as import_file
from infra.operations.imports.uploads import Connection, Upload
from infra.operations.stopping import stop_on_signal

log = logging.getLogger(__name__)
_EVERY = 2.0
#: Seconds between two notes of how far an import is.
_NOTE_EVERY = 0.5
_NOT_READ = "The file could not be imported: {}"


class Stopping(SegueError):
    """The process has to stop; the next one resumes the import at its checkpoint."""


def run(settings: Settings) -> int:
    """Look for uploads every other second until SIGTERM; return the exit code.

    The connection is kept: making one costs both sides milliseconds of processor time.
    """
    stopping = stop_on_signal()
    swept = False
    while not stopping.wait(_EVERY):
        try:
            with psycopg.connect(
                settings.postgres_dsn, connect_timeout=5, autocommit=True
            ) as connection:
                if not swept:
                    uploads.sweep(connection, settings.paths.uploads)
                    swept = True
                while not stopping.is_set():
                    if not work_one(settings, connection, stopping):
                        stopping.wait(_EVERY)
        except Stopping:
            break
        except (SegueError, psycopg.Error, OSError) as error:
            log.warning("imports wait for a dependency: %s", first_line(error))
    return 0


def work_one(settings: Settings, connection: Connection, stopping: threading.Event) -> bool:
    """Import the oldest upload that waits; return whether there was one.

    Raises
    ------
    StoreUnavailable
        The API is away: the upload stays, and its import resumes at the checkpoint.
    Stopping
        ``stopping`` was set.
    """
    with uploads.claimed(connection) as upload:
        if upload is None:
            return False
        file = upload.file(settings.paths.uploads)
        if not file.is_file():
            uploads.note_failed(
                connection, upload, "lost", "The uploaded file is not there any more."
            )
            return True
        try:
            _import(settings, connection, upload, stopping)
        except UnknownFormat as error:
            uploads.note_failed(connection, upload, "unknown-format", error.what + ".")
        except ConfigurationError as error:
            uploads.note_failed(connection, upload, "refused", _NOT_READ.format(error))
        except (StoreUnavailable, Stopping, psycopg.OperationalError):
            raise  # the file stays
        except Exception as error:  # one file must not keep the others from being read
            log.exception("upload %s cannot be read", upload.id)
            uploads.note_failed(
                connection, upload, "mistake", _NOT_READ.format(type(error).__name__)
            )
        file.unlink(missing_ok=True)
        return True


def _import(
    settings: Settings, connection: Connection, upload: Upload, stopping: threading.Event
) -> None:
    api = settings.api_url.rstrip("/") or f"http://127.0.0.1:{settings.port}"
    with uploads.token_for(connection, upload.user) as token:
        request = Request(
            file=upload.file(settings.paths.uploads),
            api=api,
            token=token,
            home=settings.home,
            options=Options(user=upload.user, private=upload.private),
            name=upload.name,
        )
        report = import_file(request, _noting(connection, upload, stopping))
    uploads.note_done(connection, upload, report)


def _noting(connection: Connection, upload: Upload, stopping: threading.Event) -> Progress:
    noted = 0.0

    def note(read: int, _total: int, state: State) -> None:
        nonlocal noted
        if stopping.is_set():
            raise Stopping("the process has to stop")
        if time.monotonic() - noted >= _NOTE_EVERY:
            uploads.note_progress(connection, upload, read, state)
            noted = time.monotonic()

    return note
