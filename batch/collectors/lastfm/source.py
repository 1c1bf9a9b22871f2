"""Last.fm as a source: address, key, pace, and what its error codes mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from batch.collectors.credentials import Credential, require
from batch.collectors.policy import Policy
from batch.collectors.source import Outcome, Source, Verdict, judge_by_status

NAME = "lastfm"
BASE_URL = "https://ws.audioscrobbler.com"
PATH = "/2.0/"
KEY = Credential(
    NAME, "api_key", "create a free API account at https://www.last.fm/api/account/create"
)
#: The terms ask for a handful of requests a second; four leaves room for a second process.
POLICY = Policy(rate=4.0)
#: Service errors that pass: operation failed, offline, temporarily unavailable, rate limit.
_PASSING = frozenset({8, 11, 16, 29})
_MISSING = frozenset({6, 7})
_HINTS = {
    4: "the session or key was not accepted",
    10: f"the API key is not valid; check {KEY.variable}",
    17: "this listener hides recent plays; they can allow it under Settings, Privacy",
    26: f"the API key was suspended; {KEY.where}",
}


def judge(status: int, document: Any) -> Verdict:
    """Read Last.fm's own error codes, which come with HTTP 200 as well as with 4xx."""
    code = document.get("error") if isinstance(document, dict) else None
    if isinstance(code, int):
        if code in _PASSING:
            return Verdict(Outcome.RETRY, f"error-{code}", f"Last.fm error {code}")
        if code in _MISSING:
            return Verdict(Outcome.MISSING, f"error-{code}")
        said = str(document.get("message", ""))[:200]
        hint = _HINTS.get(code, "")
        return Verdict(
            Outcome.REFUSED, f"error-{code}", f"error {code}: {said}; {hint}".rstrip("; ")
        )
    return judge_by_status(status, document)


def source(home: Path, base_url: str = BASE_URL, policy: Policy = POLICY) -> Source:
    """Return the source with its key.

    Raises
    ------
    ConfigurationError
        No API key is set.
    """
    key = require([KEY], home)["api_key"]
    return Source(NAME, base_url, policy, {"api_key": key, "format": "json"}, {}, judge)
