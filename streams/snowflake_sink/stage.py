"""Files in Snowflake's internal stage and rows in RAW, accessed through the Snowflake connector."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import ConfigurationError, StoreUnavailable
from contracts.snowflake import QUARANTINE, REFUSED, STAGE, Snowflake
from streams.snowflake_sink.files import RangeFile
from streams.snowflake_sink.remote import Remote

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection


class Stage:
    """The staged files of one topic, and whether RAW holds their rows.

    Each method raises :class:`StoreUnavailable` if Snowflake does not answer, and
    :class:`ConfigurationError` with the reason if Snowflake refuses the statement.

    Parameters
    ----------
    table
        RAW table into which Snowpipe loads the files.
    """

    def __init__(self, snowflake: Snowflake, remote: Remote, table: str) -> None:
        self.snowflake = snowflake
        self.remote = remote
        self.table = snowflake.name(table)
        self._stage = "@" + snowflake.name(STAGE)
        self._quarantine = snowflake.name(QUARANTINE)
        self._connection: SnowflakeConnection | None = None

    def files(self, topic: str, log_id: str = "") -> list[RangeFile]:
        """Return the files of a topic that are in the stage.

        Parameters
        ----------
        log_id
            Only files of the topic with this id; empty: also of earlier topics of that name.
        """
        folder = f"{topic}/{log_id}/" if log_id else f"{topic}/"
        rows = self._ask(f"LIST {self._stage}/{folder}")
        return [file for row in rows if (file := RangeFile.parse(str(row[0])))]

    def put(self, file: RangeFile, content: bytes) -> None:
        """Upload a whole file; if the stage has a file of that name, keep that one."""
        self._ask(
            f"PUT 'file://{file.name}' {self._stage}/{file.folder} "
            "AUTO_COMPRESS = FALSE OVERWRITE = FALSE PARALLEL = 1",
            stream=io.BytesIO(content),
        )

    def get(self, file: RangeFile) -> bytes:
        """Download a file."""
        with tempfile.TemporaryDirectory() as folder:
            self._ask(f"GET {self._stage}/{file.path} 'file://{folder}/'")
            return (Path(folder) / file.name).read_bytes()

    def remove(self, files: Iterable[RangeFile]) -> None:
        """Delete files from the stage."""
        for file in files:
            self._ask(f"REMOVE {self._stage}/{file.path}")

    def loaded(self, files: Iterable[RangeFile]) -> dict[RangeFile, int]:
        """Return how many rows RAW holds of each file; files without rows are left out."""
        by_path = {file.path: file for file in files}
        if not by_path:
            return {}
        marks = ", ".join("%s" for _ in by_path)
        rows = self._ask(
            f"select source_file, count(*) from {self.table} "  # noqa: S608  a checked name
            f"where source_file in ({marks}) group by source_file",
            tuple(by_path),
        )
        return {by_path[str(path)]: int(count) for path, count in rows}

    def quarantined(self) -> dict[RangeFile, str]:
        """Return the files of this table that were set aside, and why."""
        rows = self._ask(
            f"select source_file, reason from {self._quarantine} where target = %s",  # noqa: S608
            (self.table,),
        )
        found = ((RangeFile.parse(str(path)), str(reason)) for path, reason in rows)
        return {file: reason for file, reason in found if file is not None}

    def quarantine(self, file: RangeFile, reason: str, attempts: int) -> None:
        """Set a file aside, once: it stays in the stage, its reason in RAW.QUARANTINE."""
        self._ask(
            f"insert into {self._quarantine} "  # noqa: S608
            "(source_file, target, rows_in_file, reason, attempts, quarantined_at) "
            "select %s, %s, %s, %s, %s, current_timestamp() where not exists "
            f"(select 1 from {self._quarantine} where source_file = %s)",
            (file.path, self.table, file.rows, reason[:4000], attempts, file.path),
        )

    def release(self, file: RangeFile) -> None:
        """Take a file out of quarantine."""
        self._ask(
            f"delete from {self._quarantine} where source_file = %s",  # noqa: S608
            (file.path,),
        )

    def close(self) -> None:
        """End the session."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it may be what failed
                connection.close()

    def _ask(
        self, sql: str, parameters: tuple[Any, ...] = (), stream: io.BytesIO | None = None
    ) -> list[tuple[Any, ...]]:
        from snowflake.connector import errors

        def work() -> list[tuple[Any, ...]]:
            if self._connection is None:
                self._connection = self.snowflake.connect()
            cursor = self._connection.cursor()
            cursor.execute(sql, parameters or None, file_stream=stream)
            return [tuple(row) for row in cursor.fetchall()]

        try:
            return self.remote.call(sql.split()[0], work)
        except errors.ProgrammingError as error:
            self.close()
            if error.errno in REFUSED:
                raise ConfigurationError(
                    f"Snowflake refuses {sql.split()[0]}: {error.msg}: was `segue snowflake apply` "
                    f"run, and is {self.snowflake.user} the user for this?"
                ) from None
            raise StoreUnavailable(f"Snowflake: {error.msg}") from None
        except (errors.Error, OSError, json.JSONDecodeError) as error:
            self.close()
            raise StoreUnavailable(f"Snowflake: {error}") from None
        except BaseException:
            self._connection = None  # a call given up may still be using it
            raise
