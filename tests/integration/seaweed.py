"""SeaweedFS: a server that speaks the protocol of Amazon S3, with one bucket and two keys."""

from __future__ import annotations

import json
import signal
import sysconfig
from pathlib import Path

import httpx

from infra.stack.ports import free_ports
from infra.stack.process import Process
from infra.stack.server import Server

BUCKET = "music"
KEY, SECRET = "segue-key", "segue-secret"
#: May do nothing in the bucket.
STRANGER = "stranger-key"
_RIGHTS = ("Read", "Write", "List", "Tagging")


class Seaweed(Server):
    """One process with master, volume, filer and S3 gateway."""

    name = "seaweed"
    stop_signal = signal.SIGKILL  # in order it takes ten seconds
    patience = 60.0

    def __init__(self, home: Path) -> None:
        *self._ports, port = free_ports(8)
        super().__init__(home, port)

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def prepare(self) -> None:
        super().prepare()
        allowed = {KEY: [f"{right}:{BUCKET}" for right in _RIGHTS], STRANGER: ["Read:other"]}
        identities = [
            {"name": key, "credentials": [{"accessKey": key, "secretKey": SECRET}], "actions": what}
            for key, what in allowed.items()
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))

    def healthy(self) -> bool:
        """Whether the gateway answers; the bucket is a folder of the filer."""
        try:
            made = httpx.post(f"http://{self.host}:{self._ports[4]}/buckets/{BUCKET}/", timeout=2.0)
            there = made.status_code in (201, 409)
            return there and httpx.get(self.address, timeout=2.0).status_code < 500
        except httpx.HTTPError:
            return False

    def _build(self) -> Process:
        names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
                 "filer.port", "filer.port.grpc", "s3.port.grpc")  # fmt: skip
        return Process(
            self.name,
            [
                str(Path(sysconfig.get_path("scripts")) / "weed"), "server",
                f"-dir={self.folder}", f"-ip={self.host}", f"-ip.bind={self.host}",
                "-filer", "-s3", f"-s3.port={self.port}", f"-s3.config={self.folder / 's3.json'}",
                # A volume of 64 MB each: by default it wants 30 GB of room.
                "-master.volumeSizeLimitMB=64", "-volume.max=50", "-master.telemetry=false",
                # Both have fixed ports by default, so a second server would end at once.
                "-s3.port.iceberg=0", "-s3.port.lance=0",
                *(f"-{name}={port}" for name, port in zip(names, self._ports, strict=True)),
            ],
            self.log,
            env=self.clean_env(),
        )  # fmt: skip
