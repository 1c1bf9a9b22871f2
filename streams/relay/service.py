"""What a relay and the services say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Protocol

import httpx

from contracts.events import Play

#: Seconds until a connection stands, and until an answer is there.
TIMEOUT = httpx.Timeout(15.0, connect=5.0)
_LONGEST_WAIT = 24 * 3600.0


class TryLater(Exception):
    """Nothing of the batch is certain to have arrived; the same call may succeed later.

    Attributes
    ----------
    seconds
        How long the service asks to wait, ``None`` where it does not say.
    service_down
        Other accounts of the service will fare no better.
    """

    def __init__(
        self, reason: str, seconds: float | None = None, *, service_down: bool = True
    ) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.service_down = service_down


class SecretRefused(Exception):
    """The service does not let us act for the listener (any more)."""


class BatchRefused(Exception):
    """The service will never take this batch as it is; one of its plays may be the reason."""


@dataclass(slots=True)
class Answer:
    """What became of a batch that the service has taken.

    Attributes
    ----------
    refused
        Index of a play -> why the service will never take it. All others have arrived.
    wait
        Seconds to leave the account alone.
    """

    refused: dict[int, str] = field(default_factory=dict)
    wait: float = 0.0


class Service(Protocol):
    """A service that takes plays."""

    #: Plays of one call.
    most: int

    def account(self, secret: str) -> str:
        """Return the name of the account a secret belongs to; raises as :meth:`send`."""
        ...

    def send(self, secret: str, plays: list[Play]) -> Answer:
        """Send plays, oldest first.

        Raises
        ------
        TryLater, SecretRefused, BatchRefused
        """
        ...


def call(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    """Send a request; what keeps an answer from coming, 429 and 5xx are :class:`TryLater`."""
    try:
        answer = client.send(request)
    except httpx.HTTPError as error:
        raise TryLater(f"{request.url.host}: {type(error).__name__}") from None
    if answer.status_code == 429:
        wait = asked_to_wait(answer)
        raise TryLater("HTTP 429: too many requests", wait, service_down=False)
    if answer.status_code >= 500 or answer.status_code in (408, 425):
        raise TryLater(f"HTTP {answer.status_code} from {request.url.host}", asked_to_wait(answer))
    return answer


def asked_to_wait(answer: httpx.Response) -> float | None:
    """Return how many seconds an answer asks to wait, by ``Retry-After`` or a header of theirs."""
    text = answer.headers.get("retry-after", "") or answer.headers.get("x-ratelimit-reset-in", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            then = parsedate_to_datetime(text)
            now = parsedate_to_datetime(answer.headers["date"])
            seconds = (then - now).total_seconds()
        except (ValueError, KeyError, TypeError):
            return None
    return min(_LONGEST_WAIT, seconds) if seconds >= 0 else None
