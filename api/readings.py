"""Who read whose data, for the audit trail: one row an hour for each pair and process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastapi import Request

from contracts.audit import entry

if TYPE_CHECKING:
    from api.services import Services

#: A reader that polls shall not bury everything else in the trail.
EVERY_SECONDS = 3600.0
_MOST = 10_000


class Readings:
    """Remembers which readings are on record already."""

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str], float] = {}

    async def note(self, services: Services, actor: str, user: str, request: Request) -> None:
        """Put a reading on record.

        Raises
        ------
        ApiError
            503: the trail cannot be written.
        """
        from api.privacy import origin_of, record  # needs the services, which hold this

        now = time.monotonic()
        if now - self._noted.get((actor, user), -EVERY_SECONDS) < EVERY_SECONDS:
            return
        await record(services, entry(actor, "data.read", user, origin_of(request)))
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted[actor, user] = now
