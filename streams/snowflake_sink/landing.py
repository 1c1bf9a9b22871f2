"""Waits until every file is in RAW or set aside with its reason; nothing is left between."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from contracts.errors import IncompatibleState
from streams.snowflake_sink.files import RangeFile
from streams.snowflake_sink.pipe import LoadReport, Pipe
from streams.snowflake_sink.remote import Remote
from streams.snowflake_sink.stage import Stage

log = logging.getLogger(__name__)

#: Loads tried before a file is set aside, and the first pause between two, seconds.
ATTEMPTS, PAUSE = 3, 1.0
_FIRST_POLL, _LONGEST_POLL = 0.1, 5.0


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
class _Waiting:
    file: RangeFile
    failures: int = 0
    reason: str = ""
    again_at: float = 0.0


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
            RAW holds a part of a file: somebody changed the pipe's ON_ERROR.
        Stopped
            The worker has to end; the next one finishes.
        """
        outcome = Outcome()
        waiting = {file: _Waiting(file) for file in files if file.rows}
        if resumed and waiting:
            self.pipe.reports()  # those of loads that an earlier process asked for
            self._ask_raw(waiting, outcome)
        if waiting:
            self.pipe.announce(list(waiting))
        heard, poll = time.monotonic(), _FIRST_POLL
        while waiting:
            self.remote.pause(poll)
            poll = min(poll * 1.5, _LONGEST_POLL)
            for report in self.pipe.reports():
                if report.file in waiting:
                    heard, poll = time.monotonic(), _FIRST_POLL
                    self._take(report, waiting, outcome)
            if waiting and time.monotonic() - heard > self.silence:
                self._ask_raw(waiting, outcome)
                for state in list(waiting.values()):
                    if state.failures:  # announced again after a failure, and ignored
                        self._failed(state, state.reason, waiting, outcome)
                    else:
                        state.again_at = time.monotonic()
                heard = time.monotonic()
            self._again(waiting, outcome)
        return outcome

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

    def _take(
        self, report: LoadReport, waiting: dict[RangeFile, _Waiting], outcome: Outcome
    ) -> None:
        if report.reason:
            self._failed(waiting[report.file], report.reason, waiting, outcome)
        else:
            self._loaded(report.file, report.rows, waiting, outcome)

    def _loaded(
        self, file: RangeFile, rows: int, waiting: dict[RangeFile, _Waiting], outcome: Outcome
    ) -> None:
        if rows != file.rows:
            raise IncompatibleState(
                f"RAW holds {rows} of the {file.rows} rows of {file.path}: does the pipe say "
                "ON_ERROR = SKIP_FILE? Delete those rows, then start again"
            )
        del waiting[file]
        outcome.rows += rows

    def _failed(
        self,
        state: _Waiting,
        reason: str,
        waiting: dict[RangeFile, _Waiting],
        outcome: Outcome,
    ) -> None:
        state.failures, state.reason = state.failures + 1, reason
        if state.failures < ATTEMPTS:
            state.again_at = time.monotonic() + PAUSE * 2 ** (state.failures - 1)
            log.warning("load %d of %s failed: %s", state.failures, state.file.path, reason)
            return
        log.error("set aside after %d loads: %s: %s", ATTEMPTS, state.file.path, reason)
        self.stage.quarantine(state.file, reason, state.failures)
        del waiting[state.file]
        outcome.quarantined += 1

    def _again(self, waiting: dict[RangeFile, _Waiting], outcome: Outcome) -> None:
        now = time.monotonic()
        due = [state for state in waiting.values() if 0 < state.again_at <= now]
        if due:
            self.pipe.announce([state.file for state in due])
            outcome.retries += len(due)
            for state in due:
                state.again_at = 0.0

    def _ask_raw(self, waiting: dict[RangeFile, _Waiting], outcome: Outcome) -> None:
        for file, rows in self.stage.loaded(waiting).items():
            self._loaded(file, rows, waiting, outcome)
