"""Waits until every file is in RAW or set aside with its reason; nothing is left between."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from contracts.errors import IncompatibleState
from contracts.retries import Backoff
from streams.snowflake_sink.files import RangeFile
from streams.snowflake_sink.pipe import LoadReport, Pipe
from streams.snowflake_sink.remote import Remote
from streams.snowflake_sink.stage import Stage

log = logging.getLogger(__name__)

#: Loads tried before a file is set aside, and the pauses between two.
ATTEMPTS, PAUSES = 3, Backoff(2.0, 60.0)
_POLLS = Backoff(0.2, 10.0, growth=1.5)


@dataclass(slots=True)
class Outcome:
    """What became of some files.

    Attributes
    ----------
    rows
        Rows that are in RAW.
    quarantined
        Files set aside.
    retries
        Loads tried again.
    """

    rows: int = 0
    quarantined: int = 0
    retries: int = 0


@dataclass(slots=True)
class _Load:
    """The load of one file.

    Attributes
    ----------
    failures, reason
        Loads that failed, and why the last one did.
    due
        When to announce the file again, monotonic seconds; ``None``: it is announced.
    """

    file: RangeFile
    failures: int = 0
    reason: str = ""
    due: float | None = None


class _Ear:
    """When to ask for reports again, and whether there were none for too long."""

    def __init__(self, silence: float) -> None:
        self._silence = silence
        self.heard()

    def heard(self) -> None:
        """Note that something happened."""
        self._since, self._polls = time.monotonic(), 0

    def next_poll(self) -> float:
        """Return the seconds to wait before asking for reports."""
        self._polls += 1
        return _POLLS.pause(self._polls)

    def is_silent(self) -> bool:
        """Whether nothing happened for the longest time allowed."""
        return time.monotonic() - self._since > self._silence


class Landing:
    """Takes files from the stage into RAW.

    Parameters
    ----------
    silence
        Seconds without a report after which RAW itself is asked.
    """

    def __init__(self, stage: Stage, pipe: Pipe, remote: Remote, silence: float) -> None:
        self.stage = stage
        self.pipe = pipe
        self.remote = remote
        self.silence = silence

    def finish(self, files: Iterable[RangeFile], *, resumed: bool = False) -> Outcome:
        """Load files and return when each is loaded or quarantined.

        A file whose load fails is tried again after growing pauses, then set aside. A file of
        which nothing is heard is never given up: RAW is asked, and the file announced again.

        Parameters
        ----------
        resumed
            An earlier process may have finished some of them: ask RAW first.

        Raises
        ------
        StoreUnavailable
            Snowflake does not answer; calling again is safe.
        IncompatibleState
            RAW holds a part of a file: the pipe's ON_ERROR was changed.
        Stopped
            The worker has to end; the next one finishes.
        """
        loads = _Loads(self.stage, self.pipe, files)
        if resumed and loads.open:
            self.pipe.reports()  # those of loads that an earlier process asked for
            loads.ask_raw()
        if loads.open:
            self.pipe.announce(list(loads.open))
        ear = _Ear(self.silence)
        while loads.open:
            self.remote.pause(ear.next_poll())
            if loads.take(self.pipe.reports()):
                ear.heard()
            if loads.open and ear.is_silent():
                loads.ask_raw()
                loads.give_up_waiting()
                ear.heard()
            loads.announce_due()
        return loads.outcome

    def replay(self) -> Outcome:
        """Try to load every file that was set aside once more; errors as :meth:`finish`.

        What is loaded leaves the quarantine; its file is deleted once a newer one follows.
        """
        outcome = Outcome()
        for file in self.stage.quarantined():
            one = self.finish([file], resumed=True)
            outcome.rows += one.rows
            outcome.quarantined += one.quarantined
            if not one.quarantined:
                self.stage.release(file)
        return outcome


class _Loads:
    """The files of one :meth:`Landing.finish`: those still open, and what became of the others."""

    def __init__(self, stage: Stage, pipe: Pipe, files: Iterable[RangeFile]) -> None:
        self._stage = stage
        self._pipe = pipe
        self.open = {file: _Load(file) for file in files if file.rows}
        self.outcome = Outcome()

    def take(self, reports: Iterable[LoadReport]) -> int:
        """Note what the pipe reports; return how many reports were of these files."""
        known = 0
        for report in reports:
            if (load := self.open.get(report.file)) is None:
                continue
            known += 1
            if report.reason:
                self._failed(load, report.reason)
            else:
                self._loaded(report.file, report.rows)
        return known

    def ask_raw(self) -> None:
        """Note what RAW holds already."""
        for file, rows in self._stage.loaded(self.open).items():
            self._loaded(file, rows)

    def give_up_waiting(self) -> None:
        """Count a load that was announced again and ignored as failed; announce the others."""
        for load in list(self.open.values()):
            if load.failures:
                self._failed(load, load.reason)
            else:
                load.due = time.monotonic()

    def announce_due(self) -> None:
        """Announce again what has waited long enough."""
        now = time.monotonic()
        due = [load for load in self.open.values() if load.due is not None and load.due <= now]
        if due:
            self._pipe.announce([load.file for load in due])
            self.outcome.retries += len(due)
            for load in due:
                load.due = None

    def _loaded(self, file: RangeFile, rows: int) -> None:
        if rows != file.rows:
            raise IncompatibleState(
                f"RAW holds {rows} of the {file.rows} rows of {file.path}: does the pipe say "
                "ON_ERROR = SKIP_FILE? Delete those rows, then start again"
            )
        del self.open[file]
        self.outcome.rows += rows

    def _failed(self, load: _Load, reason: str) -> None:
        load.failures, load.reason = load.failures + 1, reason
        if load.failures < ATTEMPTS:
            load.due = time.monotonic() + PAUSES.pause(load.failures)
            log.warning("load %d of %s failed: %s", load.failures, load.file.path, reason)
            return
        log.error("quarantined after %d failed loads: %s: %s", ATTEMPTS, load.file.path, reason)
        self._stage.quarantine(load.file, reason, load.failures)
        del self.open[load.file]
        self.outcome.quarantined += 1
