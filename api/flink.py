"""What the API knows of the Flink jobs: whether they run, and figures for Prometheus.

Both come from Flink's REST interface. Flink's own Prometheus reporter is not used on one machine:
it listens on every interface of the host and has no setting for an address.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import httpx

from api.watcher import Look

#: Longest time for all figures together (seconds): the answer to Prometheus waits for them.
_PATIENCE = 1.5
_LATE = ".numLateRecordsDropped"


class FlinkLook:
    """Looks at Flink's REST interface.

    Parameters
    ----------
    address
        Empty where Flink does not run.
    """

    def __init__(self, address: str) -> None:
        self._http = httpx.AsyncClient(base_url=address, timeout=3.0) if address else None
        self._counters: dict[str, str] = {}
        self._job = ""

    @property
    def looks(self) -> dict[str, Look]:
        """The look by its name; none where Flink does not run."""
        return {"flink": self.look} if self._http else {}

    async def look(self) -> str:
        """Return ``"ok"`` or what is wrong; let errors of the client through."""
        states = [job["state"] for job in (await self._get("/jobs/overview"))["jobs"]]
        return "ok" if "RUNNING" in states else f"no job runs, only: {', '.join(states) or 'none'}"

    async def measure(self) -> dict[str, float]:
        """Return figures of the newest job by name; without an answer ``running`` is 0.

        What Flink does not answer in time is missing. Empty where Flink does not run.
        """
        if self._http is None:
            return {}
        found = {"running": 0.0}
        with suppress(httpx.HTTPError, TimeoutError, ValueError, KeyError):
            async with asyncio.timeout(_PATIENCE):
                jobs = (await self._get("/jobs/overview"))["jobs"]
                await self._figures(max(jobs, key=lambda job: job["start-time"]), found)
        return found

    async def close(self) -> None:
        """Close the connection."""
        if self._http is not None:
            await self._http.aclose()

    async def _figures(self, job: dict[str, Any], found: dict[str, float]) -> None:
        """Add the figures of a job, those that alarms need most first."""
        path, tasks = f"/jobs/{job['jid']}", job["tasks"]
        found["running"] = float(job["state"] == "RUNNING")
        found["tasks"] = tasks["total"]
        found["tasks_running"] = tasks["running"] + tasks["finished"]
        checkpoints = await self._get(f"{path}/checkpoints")
        found["checkpoints_failed"] = (checkpoints.get("counts") or {}).get("failed") or 0
        if done := (checkpoints.get("latest") or {}).get("completed"):
            found["checkpoint_bytes"] = done["state_size"]
            age = time.time() - done["latest_ack_timestamp"] / 1000
            found["checkpoint_age_seconds"] = round(max(0.0, age), 3)
        for restarts in await self._get(f"{path}/metrics", get="numRestarts"):
            found["restarts"] = float(restarts["value"])
        if (late := await self._late(job["jid"])) is not None:
            found["late_records_dropped"] = late

    async def _late(self, job: str) -> float | None:
        """Return how many records all windows have dropped as late; ``None``: not counted yet."""
        if job != self._job:
            self._job, self._counters = job, {}
        dropped = 0.0
        for vertex in (await self._get(f"/jobs/{job}"))["vertices"]:
            path = f"/jobs/{job}/vertices/{vertex['id']}/subtasks/metrics"
            if vertex["id"] not in self._counters:
                names = [metric["id"] for metric in await self._get(path)]
                if not names:  # Flink has not fetched them yet
                    continue
                late = ",".join(name for name in names if name.endswith(_LATE))
                self._counters[vertex["id"]] = late
            if counters := self._counters[vertex["id"]]:
                answer = await self._get(path, agg="sum", get=counters)
                dropped += sum(metric["sum"] for metric in answer)
        return dropped if any(self._counters.values()) else None

    async def _get(self, path: str, **query: str) -> Any:
        assert self._http is not None
        answer = await self._http.get(path, params=query)
        return answer.raise_for_status().json()
