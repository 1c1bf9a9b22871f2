"""What the common core must know of a source."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from batch.collectors.policy import Policy


class Outcome(enum.Enum):
    """What an HTTP answer means."""

    OK = "ok"
    MISSING = "missing"  # there is no such thing: a good answer without content
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, a short word for counting, and a message for a person."""

    outcome: Outcome
    cause: str = ""
    message: str = ""


class Judge(Protocol):
    """Reads the meaning of an answer: `document` is the parsed JSON, or None when it is not."""

    def __call__(self, status: int, document: Any) -> Verdict:
        """Return what the answer means."""


def judge_by_status(status: int, document: Any) -> Verdict:
    """Judge by HTTP alone: 2xx, 404 and 204 are answers, 408, 425, 429 and 5xx pass."""
    if status == 204:
        return Verdict(Outcome.MISSING, "204")
    if 200 <= status < 300:
        if document is None:
            return Verdict(Outcome.RETRY, "bad-json", "the body is not JSON (cut short?)")
        return Verdict(Outcome.OK)
    if status == 404:
        return Verdict(Outcome.MISSING, "404")
    if status in (408, 425, 429) or status >= 500:
        return Verdict(Outcome.RETRY, str(status), f"HTTP {status}")
    return Verdict(Outcome.REFUSED, str(status), f"HTTP {status}")


@dataclass(frozen=True, slots=True)
class Source:
    """One API.

    Attributes
    ----------
    name
        Folder under ``staging`` and value of ``source`` in every table.
    base_url
        Without a slash at the end.
    secret_params
        Query parameters that every request carries and nobody may read back (API keys): they
        are never written down.
    headers
        Sent with every request (tokens, user agent); never written down.
    """

    name: str
    base_url: str
    policy: Policy = field(default_factory=Policy)
    secret_params: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    judge: Judge = judge_by_status
