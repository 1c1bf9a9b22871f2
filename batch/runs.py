"""The record of a nightly run, and the lock that keeps two from overlapping.

A record is a JSON file ``<home>/runs/<id>.json``, replaced as a whole after every step: the record
of a killed run shows what it had finished, and the next run resumes there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from batch.quality import QualityCheck
from contracts.errors import IncompatibleState, StoreUnavailable
from contracts.whole_files import write_whole


class Step(msgspec.Struct, kw_only=True):
    """One step of a run.

    Attributes
    ----------
    status
        ``waiting``, ``running``, ``ok``, ``failed`` or ``skipped``.
    rows
        Counts by name, such as rows of each table built.
    cpu_seconds
        Processor time, of every thread.
    peak_mb
        Most memory the process has held by the end of the step.
    """

    name: str
    status: str = "waiting"
    started_at: str | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_mb: int | None = None
    rows: dict[str, int] = {}
    detail: str = ""


class Model(msgspec.Struct, kw_only=True):
    """One table that dbt built.

    Attributes
    ----------
    table
        ``schema.name``.
    inputs
        Tables it was built from, as ``schema.name``.
    columns
        Name -> type, as its contract promises; empty where there is none.
    made_of
        Column -> the columns it is made of, as ``schema.table.column``
        (:mod:`batch.column_lineage`).
    """

    table: str
    inputs: list[str]
    status: str
    started_at: str
    finished_at: str
    columns: dict[str, str] = {}
    made_of: dict[str, list[str]] = {}


class NightlyRun(msgspec.Struct, kw_only=True):
    """One nightly run.

    Attributes
    ----------
    id
        ``<date>-<target>-<number>``.
    status
        ``running`` (or killed), ``ok``, ``failed``, or ``empty``: the lake holds nothing yet.
    lake_version, lake_versions
        The version of ``plays``, and of every table by name, that each step of this run reads.
    definitions
        Version of the warehouse's definitions (:data:`batch.nightly.DEFINITIONS`).
    full_refresh
        Incremental tables are built from scratch, also when the run resumes after a kill.
    seconds, cpu_seconds, cost
        Wall clock and processor time, and what the latter cost at ``SEGUE_CPU_HOUR_PRICE``, in
        the currency of that price; without a price there is no cost.
    models
        What dbt built: inputs, outputs, times; the lineage is made of it.
    checks
        Every question the quality gates asked, with its answer.
    points
        Of each table they asked about (:func:`batch.quality.score`).
    audit_head
        Newest row of the audit trail when the run ended, ``seq:hash``; see
        :mod:`batch.audit_head`.
    """

    id: str
    date: str
    target: str
    status: str = "running"
    started_at: str
    finished_at: str | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    cost: float | None = None
    lake_version: int | None = None
    lake_versions: dict[str, int] = {}
    lake_rows: int = 0
    full_refresh: bool = False
    definitions: int = 0
    steps: list[Step] = []
    models: list[Model] = []
    checks: list[QualityCheck] = []
    points: dict[str, float] = {}
    audit_head: str | None = None
    error: str | None = None

    def step(self, name: str) -> Step:
        """Return the step of that name."""
        return next(step for step in self.steps if step.name == name)


class Runs:
    """The records of one deployment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, run: NightlyRun) -> None:
        """Write the record, durable before it is visible."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(run), indent=2).decode() + "\n"
        write_whole(self.folder / f"{run.id}.json", text)

    def all(self) -> list[NightlyRun]:
        """Return every record, oldest first.

        Raises
        ------
        IncompatibleState
            A record cannot be read; the message names the file.
        """
        runs = []
        for path in self.folder.glob("*.json"):
            try:
                runs.append(msgspec.json.decode(path.read_bytes(), type=NightlyRun))
            except msgspec.DecodeError as error:
                raise IncompatibleState(
                    f"run record {path}: {error}; move it away to continue"
                ) from None
        return sorted(runs, key=lambda run: run.started_at)

    def last(self, target: str) -> NightlyRun | None:
        """Return the newest record of a target."""
        return next((run for run in reversed(self.all()) if run.target == target), None)

    def last_built(self, target: str) -> NightlyRun | None:
        """Return the newest record of a target whose tables were built."""
        mine = (run for run in reversed(self.all()) if run.target == target)
        return next(
            (r for r in mine if any(s.name == "build" and s.status == "ok" for s in r.steps)), None
        )

    def next_id(self, day: str, target: str) -> str:
        """Return a free id for a run of that day."""
        taken = {run.id for run in self.all()}
        number = 1
        while (name := f"{day}-{target}-{number:03d}") in taken:
            number += 1
        return name

    def lineage(self, run: NightlyRun) -> Path:
        """Return where the OpenLineage events of a run are kept."""
        return self.folder / f"{run.id}.lineage.jsonl"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of this home; the operating system releases it if the process is killed.

        Raises
        ------
        StoreUnavailable
            A nightly, an erasure or a backfill of this home holds it; the message names the
            process.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
                raise StoreUnavailable(
                    f"a nightly, an erasure or a backfill of {self.folder.parent} is running "
                    f"already (process {holder})"
                ) from None
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(handle)
