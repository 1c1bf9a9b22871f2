"""Sending listens to ListenBrainz (https://listenbrainz.readthedocs.io, "Submitting listens")."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from contracts.events import Play
from streams.relay.payload import listen
from streams.relay.service import (
    TIMEOUT,
    Answer,
    BatchRefused,
    SecretRefused,
    TryLater,
    asked_to_wait,
    call,
)


class ListenBrainz:
    """One ListenBrainz server.

    Parameters
    ----------
    url
        Its address, with or without ``/1`` at the end.
    """

    #: The server takes 1000; a small request is lost and sent again at less cost.
    most = 100

    def __init__(self, url: str) -> None:
        self._base = url.rstrip("/").removesuffix("/1")
        self._client = httpx.Client(timeout=TIMEOUT, verify=url.startswith("https:"))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def account(self, secret: str) -> str:
        """Return the name of the account; raises as :meth:`streams.relay.service.Service.send`."""
        answer = self._call("GET", "validate-token", secret)
        said = _said(answer)
        if answer.status_code == 200 and said.get("valid"):
            return str(said.get("user_name", ""))
        if answer.status_code in (200, 401, 403):
            raise SecretRefused("ListenBrainz does not know this token")
        raise TryLater(f"HTTP {answer.status_code} from {self._base}")

    def send(self, secret: str, plays: list[Play]) -> Answer:
        """Submit listens, as ``single``, or as ``import`` if there are several."""
        body = {
            "listen_type": "single" if len(plays) == 1 else "import",
            "payload": [listen(play) for play in plays],
        }
        answer = self._call("POST", "submit-listens", secret, msgspec.json.encode(body))
        if answer.status_code == 200:
            left = answer.headers.get("x-ratelimit-remaining", "1")
            return Answer(wait=(asked_to_wait(answer) or 0.0) if left == "0" else 0.0)
        said = str(_said(answer).get("error", ""))[:300]
        if answer.status_code in (401, 403):
            raise SecretRefused(said or f"HTTP {answer.status_code}")
        if answer.status_code in (400, 413):
            raise BatchRefused(said or f"HTTP {answer.status_code}")
        raise TryLater(f"HTTP {answer.status_code} from {self._base}")

    def _call(self, method: str, path: str, secret: str, body: bytes = b"") -> httpx.Response:
        headers = {"authorization": f"Token {secret}", "content-type": "application/json"}
        request = self._client.build_request(
            method, f"{self._base}/1/{path}", headers=headers, content=body
        )
        return call(self._client, request)


def _said(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(answer.content)
    except msgspec.MsgspecError:
        return {}
    return said if isinstance(said, dict) else {}
