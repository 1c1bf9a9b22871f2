"""Suspects: listeners with plays that no person produces, as messages of the topic ``suspects``.

Flink writes findings, an operator writes releases. A listener is suspect if a finding ended after
the last release. :class:`Suspects` computes this. It depends on the set of messages and the time
alone, not on the order or number of messages.

A finding counts for :data:`FINDING_DAYS` days from its last play. The topic keeps a message as
long. Jobs that read the log again from its beginning publish old findings again; the time of the
last play keeps these from counting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec

from contracts.messages import check_version, read
from contracts.topics import RESULT_DAYS, Kind

VERSION = 1
#: Days for which a finding counts, from its last play.
FINDING_DAYS = RESULT_DAYS[Kind.SUSPECTS]
_FINDING_MS = FINDING_DAYS * 24 * 60 * 60 * 1000
#: What each pattern means, for a person.
PATTERNS: dict[str, str] = {
    "too-fast": "six plays heard for half a minute or more began within one minute",
    "one-track": "one track forty times in a row within four hours",
    "same-trace": "five accounts or more played the same tracks at the same seconds for an hour",
}
#: ``pattern`` of an operator's release.
RELEASED = "released"


class Suspect(msgspec.Struct, kw_only=True):
    """One finding, or a release. Key: listener, pattern and start.

    Attributes
    ----------
    pattern
        One of :data:`PATTERNS`, or :data:`RELEASED`.
    started_at, ended_at
        Milliseconds since the epoch, UTC: start of the first and of the last play. A release
        covers every finding that ended up to its own ``ended_at``.
    plays
        Number of plays in the finding.

    Examples
    --------
    >>> found = Suspect(user_id="bot", pattern="too-fast", started_at=0, ended_at=60_000, plays=6)
    >>> decode(encode(found)) == found
    True
    >>> message_key(found)
    b'bot|too-fast|0'
    """

    user_id: str
    pattern: str
    started_at: int
    ended_at: int
    plays: int
    run: int = 0
    version: int = VERSION


_DECODER = msgspec.json.Decoder(Suspect)


def encode(suspect: Suspect) -> bytes:
    """Return the JSON bytes of a finding."""
    return msgspec.json.encode(suspect)


def decode(value: bytes | None) -> Suspect:
    """Read one message of ``suspects``; raises InvalidEvent."""
    found = read(_DECODER, value, "a finding")
    check_version(found.version, VERSION)
    return found


def message_key(suspect: Suspect) -> bytes:
    """Return the key of a finding: the same finding published again has the same key."""
    return f"{suspect.user_id}|{suspect.pattern}|{suspect.started_at}".encode()


class Suspects:
    """The current suspects.

    Parameters
    ----------
    erased
        Called with a listener and the end of a finding (milliseconds since the epoch): whether the
        finding is erased. It is asked each time, so an erasure counts from the moment it is known.
    clock
        Returns seconds since the epoch.

    Examples
    --------
    >>> held = Suspects(clock=lambda: 0.0)
    >>> found = Suspect(user_id="bot", pattern="too-fast", started_at=0, ended_at=9, plays=6)
    >>> held.add(found)
    >>> "bot" in held
    True
    >>> held.add(Suspect(user_id="bot", pattern=RELEASED, started_at=9, ended_at=9, plays=0))
    >>> "bot" in held
    False
    """

    def __init__(
        self,
        erased: Callable[[str, int], bool] = lambda user, ended_at: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._erased = erased
        self._clock = clock
        self._findings: dict[str, dict[bytes, Suspect]] = {}
        self._released: dict[str, int] = {}

    def add(self, suspect: Suspect) -> None:
        """Add one message."""
        user = suspect.user_id
        if suspect.pattern == RELEASED:
            self._released[user] = max(suspect.ended_at, self._released.get(user, 0))
        else:
            self._findings.setdefault(user, {})[message_key(suspect)] = suspect

    def findings(self, user_id: str) -> list[Suspect]:
        """Return the findings about a listener that count and no release covers, oldest first."""
        since = int(self._clock() * 1000) - _FINDING_MS
        since = max(since, self._released.get(user_id, since))
        found = self._findings.get(user_id, {}).values()
        kept = [s for s in found if s.ended_at > since and not self._erased(user_id, s.ended_at)]
        return sorted(kept, key=lambda s: (s.started_at, s.pattern))

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._findings and bool(self.findings(user_id))

    def __iter__(self) -> Iterator[str]:
        return (user for user in sorted(self._findings) if user in self)
