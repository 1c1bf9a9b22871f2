"""Snowpipe through its SDK: announce files, read the reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.snowflake import Snowflake
from streams.snowflake_sink.files import RangeFile
from streams.snowflake_sink.remote import Remote

T = TypeVar("T")
_REFUSED = {400, 401, 403, 404}


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Snowpipe's report of one load.

    Attributes
    ----------
    rows
        Rows loaded.
    reason
        The first error; empty when everything was loaded.
    """

    file: RangeFile
    rows: int
    reason: str


class Pipe:
    """One pipe.

    Parameters
    ----------
    table
        RAW table it fills.

    Raises
    ------
    ConfigurationError
        There is no private key, or it cannot be read.
    """

    def __init__(self, snowflake: Snowflake, remote: Remote, table: str) -> None:
        from snowflake.ingest import SimpleIngestManager

        if not snowflake.private_key:
            raise ConfigurationError(
                "Snowpipe needs a key: set SEGUE_SNOWFLAKE_PRIVATE_KEY_FILE (docs/snowflake.md)"
            )
        snowflake.key_bytes()  # report a bad key now, not at the first file
        self.name = snowflake.pipe(table)
        self.remote = remote
        self._manager = SimpleIngestManager(
            account=snowflake.account,
            user=snowflake.user,
            pipe=self.name,
            private_key=snowflake.private_key,
            scheme=snowflake.protocol,
            host=snowflake.address,
            port=snowflake.port,
        )

    def announce(self, files: Sequence[RangeFile]) -> None:
        """Ask Snowpipe to load files; one it has loaded before is skipped there, silently.

        Raises
        ------
        StoreUnavailable
            Snowpipe does not answer.
        ConfigurationError
            It refuses: the key is not the user's, or there is no such pipe.
        """
        from snowflake.ingest import StagedFile

        staged = [StagedFile(file.path, None) for file in files]
        self._call("insertFiles", lambda: self._manager.ingest_files(staged))

    def reports(self) -> list[LoadReport]:
        """Return what is new since the last call; errors as :meth:`announce`.

        Snowpipe forgets reports after ten minutes and may lose some: silence means nothing.
        """
        answer = self._call("insertReport", self._manager.get_history)
        found = []
        for entry in answer.get("files", []):
            file = RangeFile.parse(str(entry.get("path", "")))
            status = entry.get("status")
            if file is None or status in ("LOAD_IN_PROGRESS", None):
                continue
            reason = str(entry.get("firstError") or entry.get("systemError") or status)
            rows = int(entry.get("rowsInserted") or 0)
            found.append(LoadReport(file, rows, "" if status == "LOADED" else reason))
        return found

    def _call(self, what: str, work: Callable[[], Any]) -> Any:
        from snowflake.ingest.error import IngestResponseError

        try:
            return self.remote.call(what, work)
        except IngestResponseError as error:
            words = f"Snowpipe {self.name}: {what}: {error.http_error_code} {error.message}"
            if error.http_error_code in _REFUSED:
                raise ConfigurationError(f"{words} (run `segue snowflake check`)") from None
            raise StoreUnavailable(words) from None
        except (OSError, KeyError, ValueError) as error:
            raise StoreUnavailable(f"Snowpipe {self.name}: {what}: {error}") from None
