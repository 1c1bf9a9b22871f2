"""The lake: rows out of the newest version, then every older version that could still show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt

from contracts.errors import StoreUnavailable
from contracts.lake import CATALOGUE, PLAYS, RESULTS, TABLES
from contracts.lake_tables import TablePlace, present
from contracts.retries import Backoff
from contracts.settings import Settings
from infra.operations.erasure.target import Target

_ATTEMPTS, _PAUSES = 8, Backoff(0.2, 12.8)
T = TypeVar("T")
_PLACE = ["log_id", "kafka_partition", "kafka_offset"]
_NAMED = PLAYS  # a schema that names listeners
_KEEP_LOG = "delta.logRetentionDuration"


def forget(settings: Settings, target: Target) -> dict[str, int]:
    """Delete a target's rows from every table of the lake; returns how many of each.

    Raises
    ------
    StoreUnavailable
        The sink commits faster than rows can be deleted, or a table cannot be read.
    """
    predicate = _predicate(target)
    return {place.name: _delete(place, predicate) for place in _holders(settings, target)}


def left(settings: Settings, target: Target) -> dict[str, int]:
    """Return how many rows each table still has that should be gone; none: an empty mapping.

    Raises
    ------
    StoreUnavailable
        A table cannot be read.
    """
    found = {}
    for place in _holders(settings, target):
        table = place.open()
        if table is None:
            continue
        try:
            named = (
                table.to_pyarrow_dataset().to_table(columns=_PLACE, filter=_of(target)).to_pylist()
            )
        except (DeltaError, OSError) as error:
            raise place.trouble(error) from None
        if count := sum(not target.keeps(*row.values()) for row in named):
            found[f"lake {place.name}"] = count
    return found


def _of(target: Target) -> pc.Expression:
    # Files that another process rewrote have string views, which a plain text does not compare to.
    named = pc.field("user_id").cast(pa.string()) == target.user_id
    if target.event_id is None:
        return named
    return named & (pc.field("event_id").cast(pa.string()) == target.event_id)


def _holders(settings: Settings, target: Target) -> Iterator[TablePlace]:
    for place in present(settings):
        if place.name in CATALOGUE or "user_id" not in RESULTS.get(place.name, _NAMED).names:
            continue  # it holds no listener's name
        if place.name not in TABLES and place.name not in RESULTS:
            raise StoreUnavailable(
                f"this version does not know the lake table {place.name} and cannot erase from it: "
                "run the version that wrote it"
            )
        if target.event_id is None or place.name == "plays":
            yield place


def _predicate(target: Target) -> str:
    predicate = f"user_id = '{_quoted(target.user_id)}' and not {target.kept()}"
    if target.event_id is not None:
        predicate += f" and event_id = '{_quoted(target.event_id)}'"
    return predicate


def purge(settings: Settings) -> dict[str, int]:
    """Make every version but the newest unreadable and delete its files; returns how many.

    Files of older versions still hold deleted rows, and the statistics in the transaction log can
    hold a listener's name. So time travel to earlier versions ends here, for all tables.

    Raises
    ------
    StoreUnavailable
        A table cannot be written; the next call resumes where this one stopped.
    """
    files = 0
    for place in present(settings):
        table = place.open()
        if table is None:
            continue
        try:
            # Only files that the log has removed: what a sink is writing now stays.
            removed = table.vacuum(
                retention_hours=0, enforce_retention_duration=False, dry_run=False
            )
            files += len(removed)
            kept = _newest(place).metadata().configuration.get(_KEEP_LOG, "interval 30 days")
            _set(place, "interval 0 days")
            try:
                table = _newest(place)
                table.create_checkpoint()
                table.cleanup_metadata()
            finally:
                _set(place, "interval 30 days" if kept == "interval 0 days" else kept)
        except (DeltaError, OSError) as error:
            raise place.trouble(error) from None
    return {"files": files}


def _newest(place: TablePlace) -> DeltaTable:
    table = place.open()
    if table is None:
        raise StoreUnavailable(f"lake table {place.name} is gone")
    return table


def _delete(place: TablePlace, predicate: str) -> int:
    if place.open() is None:  # a writer was killed during its first commit
        return 0
    try:
        done = _between_commits(place, lambda: _newest(place).delete(predicate))
    except (DeltaError, OSError) as error:
        raise place.trouble(error) from None
    return int(done["num_deleted_rows"] or 0)


def _set(place: TablePlace, retention: str) -> None:
    def set_property() -> None:
        _newest(place).alter.set_table_properties({_KEEP_LOG: retention})

    _between_commits(place, set_property)


def _between_commits(place: TablePlace, change: Callable[[], T]) -> T:
    """Change a table; repeat it if another writer committed first."""
    call = Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=_PAUSES,
    )
    try:
        return call(change)
    except RetryError:
        raise StoreUnavailable(
            f"lake table {place.name}: other writers commit faster than this change; try again"
        ) from None


def _quoted(text: str) -> str:
    return text.replace("'", "''")
