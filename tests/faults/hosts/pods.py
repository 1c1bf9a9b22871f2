"""Pods of a rendered chart as processes: their commands, environment, volumes and probes.

Where these differ from Kubernetes: a pod shares the address of its host, so a worker's health port
is one that no other pod of the host has; folders take the place of the mounted volumes; init
containers are left out, because they only copy the image's compiled kernels.
"""

from __future__ import annotations

import http.client
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.stack.process import Process, python
from infra.stack.restart import Ward
from infra.stack.server import Server
from tests.faults.hosts.network import Host

Spec = dict[str, Any]


@dataclass
class Container:
    """A container of a pod and its process."""

    spec: Spec
    process: Process
    ports: dict[str, int]
    hook: Process | None
    ward: Ward = field(default_factory=Ward)
    ends: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """As in the chart: the worker."""
        return str(self.spec["name"])

    def start(self) -> None:
        """Start the process. Call from the main thread."""
        self.ward.started(time.monotonic())
        self.process.start()


@dataclass
class Pod:
    """A pod on a host.

    Attributes
    ----------
    name
        The ``SEGUE_HOST_NAME`` of its processes.
    stopping
        Monotonic time since when it is being ended; ``None`` before that.
    """

    name: str
    host: Host
    grace: float
    containers: list[Container]
    stopping: float | None = None
    _terminated: set[str] = field(default_factory=set)

    def start(self) -> None:
        """Start all containers. Call from the main thread."""
        for container in self.containers:
            container.start()

    @property
    def running(self) -> bool:
        """Whether any of its processes runs."""
        return any(each.process.pid is not None for each in self.containers)

    @property
    def ready(self) -> bool:
        """Whether each container runs and the probes of its start and readiness succeed."""
        return all(
            each.process.pid is not None
            and all(
                self._answers(each, each.spec[probe]["httpGet"])
                for probe in ("startupProbe", "readinessProbe")
                if probe in each.spec
            )
            for each in self.containers
        )

    def _answers(self, container: Container, probe: Spec) -> bool:
        port = container.ports[probe["port"]]
        connection = http.client.HTTPConnection(self.host.address, port, timeout=2)
        try:
            connection.request("GET", probe["path"])
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Begin to end it as Kubernetes does: ``preStop``, SIGTERM, in the end SIGKILL."""
        if self.stopping is None:
            self.stopping = time.monotonic()
            for each in self.containers:
                if each.hook is not None and each.process.pid is not None:
                    each.hook.start()

    def kill(self) -> None:
        """End all processes as a power cut would; they are not started again."""
        self.stopping = time.monotonic()
        for each in self.containers:
            each.process.stop(signal.SIGKILL)

    def tick(self) -> None:
        """Start a container that ended, or continue to end the pod; call it often."""
        now = time.monotonic()
        for each in self.containers:
            if self.stopping is not None:
                if each.name not in self._terminated and (each.hook is None or not each.hook.pid):
                    each.process.send(signal.SIGTERM)
                    self._terminated.add(each.name)
                if now - self.stopping > self.grace:
                    each.process.send(signal.SIGKILL)
            elif each.process.pid is None:
                if each.ward.due is None:
                    code = each.process.exit_code
                    each.ends.append(0 if code is None else code)
                    each.ward.died(now)
                elif each.ward.is_due(now):
                    each.start()


class Volumes:
    """Folders in place of claims and empty volumes, and the values of the Secret."""

    def __init__(self, folder: Path, secrets: dict[str, str]) -> None:
        self._folder = folder
        self._secrets = secrets

    def pod(self, name: str, host: Host, template: Spec, claims: list[Spec]) -> Pod:
        """Return a pod that runs nothing yet.

        Parameters
        ----------
        template
            ``spec`` of the pods of an object.
        claims
            Its ``volumeClaimTemplates``: volumes that a pod of the same name gets again.
        """
        own = self._folder / "pods" / name
        folders = {each["metadata"]["name"]: own / "claims" for each in claims}
        for volume in template["volumes"]:
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            folders[volume["name"]] = self._folder / claim if claim else own / volume["name"]
        return Pod(
            name,
            host,
            template.get("terminationGracePeriodSeconds", 30),
            [self._container(name, host, each, folders) for each in template["containers"]],
        )

    def _container(self, pod: str, host: Host, spec: Spec, folders: dict[str, Path]) -> Container:
        mounts = {mount["mountPath"]: folders[mount["name"]] for mount in spec["volumeMounts"]}
        for folder in mounts.values():
            folder.mkdir(parents=True, exist_ok=True)
        env = {each["name"]: self._value(each, pod, mounts) for each in spec["env"]}
        env |= Server.clean_env() | {"TMPDIR": str(mounts["/tmp"])}
        ports = {each["name"]: each["containerPort"] for each in spec.get("ports", [])}
        if "health" in ports:
            ports["health"] = host.port()
            env["SEGUE_WORKER_PORT"] = str(ports["health"])
        log = self._folder / "logs" / f"{pod}.{spec['name']}.log"
        hook = spec.get("lifecycle", {}).get("preStop")
        return Container(
            spec,
            Process(spec["name"], host.inside(python("infra.cli", *spec["args"])), log, env=env),
            ports,
            Process("preStop", hook["exec"]["command"], log) if hook else None,
        )

    def _value(self, entry: Spec, pod: str, mounts: dict[str, Path]) -> str:
        source = entry.get("valueFrom", {})
        if "secretKeyRef" in source:
            return self._secrets[source["secretKeyRef"]["key"]]
        if source:
            assert source["fieldRef"]["fieldPath"] == "metadata.name"
            return pod
        value = str(entry["value"])
        for path, folder in mounts.items():
            if value == path or value.startswith(f"{path}/"):
                return str(folder) + value.removeprefix(path)
        return value
