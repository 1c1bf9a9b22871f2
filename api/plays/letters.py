"""Refused plays as dead letters: reported to the client, and kept for the operator."""

from __future__ import annotations

import time
from collections.abc import Iterable

from api.producer import LogRecord
from contracts.events import DeadLetter, encode
from contracts.topics import Topics

#: Bytes of a refused play that are kept.
KEPT = 262_144


def dead_letters(
    topics: Topics,
    route: str,
    user: str,
    refused: Iterable[tuple[str, str, bytes]],
    stage: str = "api",
) -> list[LogRecord]:
    """Return one message for each ``(reason, message, original bytes)``.

    Parameters
    ----------
    route
        Where the plays came in; recorded as the topic ``http:<route>``.
    user
        The account that sent them.
    stage
        ``api`` for single plays, ``api-body`` for requests that were refused whole.
    """
    now = int(time.time() * 1000)
    source = f"http:{route}"
    return [
        LogRecord(
            topics.dead_letters,
            f"{source}:-1:-1".encode(),
            encode(
                DeadLetter(
                    topic=source,
                    partition=-1,
                    offset=-1,
                    reason=reason,
                    detail=message,
                    at=now,
                    stage=stage,
                    value=original[:KEPT],
                    whole_bytes=len(original) if len(original) > KEPT else None,
                    key=user.encode(),
                )
            ),
        )
        for reason, message, original in refused
    ]
