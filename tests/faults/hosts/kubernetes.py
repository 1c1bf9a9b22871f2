"""What Kubernetes does with the chart's objects: installs, restarts, replaces and moves pods."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from infra.stack.process import wait_until
from tests.faults.hosts.network import Host
from tests.faults.hosts.pods import Pod, Spec, Volumes


@dataclass
class Workload:
    """A Deployment or StatefulSet and its pods."""

    document: Spec
    pods: list[Pod] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the object."""
        return str(self.document["metadata"]["name"])

    @property
    def numbered(self) -> bool:
        """Whether its pods have numbers and keep their volumes."""
        return bool(self.document["kind"] == "StatefulSet")

    @property
    def recreated(self) -> bool:
        """Whether all pods end before new ones start."""
        return bool(self.document["spec"].get("strategy", {}).get("type") == "Recreate")


class Kubernetes:
    """Runs the objects of a rendered chart on hosts.

    Parameters
    ----------
    hosts
        Where pods may run; the list may change.
    folder
        For volumes and logs.
    secrets
        Values of the Secret by key.
    """

    def __init__(
        self, objects: list[Spec], hosts: list[Host], folder: Path, secrets: dict[str, str]
    ) -> None:
        self.hosts = hosts
        self._volumes = Volumes(folder, secrets)
        self._numbers = count()
        #: Processes that did not end with code 0 after SIGTERM.
        self.unclean: list[str] = []
        self._jobs = [each for each in objects if each["kind"] == "Job"]
        # Helm's order of installation: by kind, then by name.
        kinds = ("Deployment", "StatefulSet")
        found = [each for each in objects if each["kind"] in kinds]
        found.sort(key=lambda each: (kinds.index(each["kind"]), each["metadata"]["name"]))
        self.workloads = {each["metadata"]["name"]: Workload(each) for each in found}

    @property
    def pods(self) -> list[Pod]:
        """All pods, also those that are ending."""
        return [pod for each in self.workloads.values() for pod in each.pods]

    def kill(self) -> None:
        """End everything at once; nothing of it is needed again."""
        for pod in self.pods:
            pod.kill()

    def ends(self) -> dict[str, list[int]]:
        """Return the exit codes of processes that ended since the last call, by pod and worker."""
        found = {}
        for pod in self.pods:
            for each in pod.containers:
                if each.ends:
                    found[f"{pod.name} {each.name}"], each.ends = each.ends, []
        return found

    def tick(self) -> None:
        """Restart containers that ended and end pods; call it often, from the main thread."""
        for pod in self.pods:
            pod.tick()

    def until(self, met: Callable[[], Any], timeout: float) -> bool:
        """Wait for a condition, ticking meanwhile."""

        def ticked() -> bool:
            self.tick()
            return bool(met())

        return wait_until(ticked, timeout, 0.5)

    def install(self) -> None:
        """Run the hooks, then start every workload."""
        self.run_hooks()
        for workload in self.workloads.values():
            for number in range(workload.document["spec"]["replicas"]):
                self.add(workload, self.hosts[number % len(self.hosts)])

    def run_hooks(self) -> None:
        """Run each Job to its end."""
        for job in self._jobs:
            name = f"{job['metadata']['name']}-{next(self._numbers)}"
            pod = self._volumes.pod(name, self.hosts[0], job["spec"]["template"]["spec"], [])
            pod.start()
            (container,) = pod.containers
            assert container.process.wait(180), f"{name} does not end"
            assert container.process.exit_code == 0, container.process.tail(20)

    def add(self, workload: Workload, host: Host) -> Pod:
        """Start one more pod."""
        taken = {pod.name for pod in workload.pods}
        free = (
            f"{workload.name}-{n if workload.numbered else _suffix(next(self._numbers))}"
            for n in count()
        )
        name = next(name for name in free if name not in taken)
        spec = workload.document["spec"]
        template = spec["template"]["spec"]
        pod = self._volumes.pod(name, host, template, spec.get("volumeClaimTemplates", []))
        workload.pods.append(pod)
        pod.start()
        return pod

    def roll(self, timeout: float) -> None:
        """Replace every pod, as an upgrade does: the hooks, then all workloads at the same time."""
        self.run_hooks()
        going = {name: self._rolling(each) for name, each in self.workloads.items() if each.pods}

        def over() -> bool:
            for name in list(going):
                if next(going[name], "over") == "over":
                    del going[name]
            return not going

        assert self.until(over, timeout), f"not replaced within {timeout} s: {list(going)}"

    def _rolling(self, workload: Workload) -> Iterator[None]:
        old = list(workload.pods)
        if workload.recreated or workload.numbered:
            # Recreate: all at once. A StatefulSet: one after the other, from the last.
            for group in [old] if workload.recreated else [[pod] for pod in reversed(old)]:
                for pod in group:
                    pod.stop()
                yield from _wait(lambda group=group: not any(pod.running for pod in group))  # type: ignore[misc]
                for pod in group:
                    self._remove(workload, pod)
                new = [self.add(workload, pod.host) for pod in group]
                yield from _wait(lambda new=new: all(pod.ready for pod in new))  # type: ignore[misc]
            return
        for pod in old:  # one more than wanted, none fewer
            new_pod = self.add(workload, pod.host)
            yield from _wait(lambda new_pod=new_pod: new_pod.ready)  # type: ignore[misc]
            pod.stop()
            yield from _wait(lambda pod=pod: not pod.running)  # type: ignore[misc]
            self._remove(workload, pod)

    def _remove(self, workload: Workload, pod: Pod) -> None:
        for each in pod.containers:
            if code := each.process.exit_code:
                self.unclean.append(f"{pod.name} {each.name}: {code}: {each.process.tail(3)}")
        workload.pods.remove(pod)

    def lose(self, host: Host, other: Host) -> list[Pod]:
        """Cut the power of a host: its pods end; those of Deployments start on another host."""
        self.hosts.remove(host)
        lost = []
        for workload in self.workloads.values():
            for pod in [pod for pod in workload.pods if pod.host is host]:
                pod.kill()
                workload.pods.remove(pod)
                lost.append(pod)
                if not workload.numbered:
                    self.add(workload, other)
        return lost


def _wait(met: Callable[[], bool]) -> Iterator[None]:
    while not met():
        yield


def _suffix(number: int) -> str:
    return "".join(string.ascii_lowercase[number // 26**place % 26] for place in (2, 1, 0))
