"""Sending dead letters once more from the command line: refused plays go through the API."""

from __future__ import annotations

import httpx

from contracts import dead_letters
from contracts.dead_letters import Letter
from contracts.errors import InvalidEvent, StoreUnavailable
from contracts.settings import Settings


def replay(settings: Settings, letters: list[Letter], *, api: str, token: str) -> dict[str, str]:
    """Send letters where they came from; returns and raises as :func:`dead_letters.replay`."""

    def post(body: bytes) -> None:
        headers = {"authorization": f"Bearer {token}", dead_letters.REPLAY_HEADER: "1"}
        try:
            response = httpx.post(f"{api}/v1/plays", content=body, headers=headers, timeout=30)
        except httpx.TransportError as error:
            raise StoreUnavailable(f"{api} does not answer: {error}") from None
        if response.status_code != 202:
            raise InvalidEvent("refused", f"refused again: {response.text[:200]}")

    return dead_letters.replay(settings, letters, post)
