"""Flink's REST interface: what runs, savepoints, an ordered stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

from contracts.errors import ConfigurationError, StoreUnavailable

_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """The running job.

    Attributes
    ----------
    state
        Flink's word: ``RUNNING``, ``RESTARTING``, ``FAILED``, ...
    tasks
        How many of its tasks run, and of how many.
    checkpoint_at
        When the newest checkpoint was complete, milliseconds since the epoch; 0: none yet.
    checkpoint_bytes
        Its size.
    failed_checkpoints
        Since the job started.
    exception
        Reason of the newest failure, one line; empty: none.
    """

    id: str
    name: str
    state: str
    tasks: tuple[int, int]
    checkpoint_at: int
    checkpoint_bytes: int
    failed_checkpoints: int
    exception: str

    @property
    def well(self) -> bool:
        """Whether every task runs."""
        return self.state == "RUNNING" and self.tasks[0] == self.tasks[1]


class Rest:
    """Asks one Flink.

    Parameters
    ----------
    address
        Such as ``http://127.0.0.1:8081``.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def job(self) -> Job:
        """Return the newest job.

        Raises
        ------
        StoreUnavailable
            Flink does not answer, or knows no job yet.
        """
        jobs = self._get("/jobs/overview")["jobs"]
        if not jobs:
            raise StoreUnavailable(f"Flink at {self.address} runs no job yet")
        job = max(jobs, key=lambda each: each["start-time"])
        counts = self._get(f"/jobs/{job['jid']}/checkpoints")
        done = (counts.get("latest") or {}).get("completed") or {}
        tasks = job["tasks"]
        failures = self._get(f"/jobs/{job['jid']}/exceptions")["exceptionHistory"]["entries"]
        return Job(
            id=job["jid"],
            name=job["name"],
            state=job["state"],
            tasks=(tasks["running"] + tasks["finished"], tasks["total"]),
            checkpoint_at=int(done.get("latest_ack_timestamp") or 0),
            checkpoint_bytes=int(done.get("state_size") or 0),
            failed_checkpoints=int((counts.get("counts") or {}).get("failed") or 0),
            exception=reason(failures[0]["stacktrace"]) if failures else "",
        )

    def savepoint(self, *, stop: bool, patience: float = 120.0) -> str:
        """Write a savepoint, with `stop` as the job's last act; return where it lies.

        Raises
        ------
        StoreUnavailable
            Flink does not answer or the savepoint failed.
        """
        job = self.job()
        if not job.well:
            raise ConfigurationError(f"the job is {job.state}; a savepoint needs one that runs")
        path = f"/jobs/{job.id}/" + ("stop" if stop else "savepoints")
        asked = self._post(path, {"drain": False} if stop else {"cancel-job": False})
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            answer = self._get(f"/jobs/{job.id}/savepoints/{asked['request-id']}")
            if answer["status"]["id"] == "COMPLETED":
                done = answer["operation"]
                if "location" in done:
                    return str(done["location"])
                why = reason(done.get("failure-cause", {}).get("stack-trace", ""))
                raise StoreUnavailable(f"the savepoint failed: {why or 'Flink gives no reason'}")
            time.sleep(0.3)
        raise StoreUnavailable(f"no savepoint after {patience:g} s")

    def _get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            answer = httpx.request(method, self.address + path, json=body, timeout=_TIMEOUT)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise StoreUnavailable(f"Flink at {self.address}: {error}") from None


def reason(trace: str) -> str:
    """Return the line of a Java stack trace that gives the reason: Python's error, if there is one.

    Examples
    --------
    >>> reason("Outer: x\\n\\tat A\\nCaused by: Inner: y\\n\\tat B")
    'Inner: y'
    >>> reason('E: Traceback (most recent call last):\\n  File "a"\\nValueError: z\\n\\n\\tat A')
    'ValueError: z'
    """
    lines = trace.splitlines()
    given = lines[:1] + [line for line in lines if line.startswith("Caused by: ")]
    _, found, python = trace.rpartition("Traceback (most recent call last):")
    if found:
        given += [line for line in python.partition("\n\tat ")[0].splitlines() if line[:1].strip()]
    return given[-1].removeprefix("Caused by: ") if given else ""
