"""When several reports are reports of one play: the rule, without any store.

Two plays of one song by one listener cannot overlap. Reports of one recording
(:func:`contracts.recordings.recording_number`) are therefore one play where they would overlap by
more than a little, whoever sent them. Three things make this exact (docs/adr/0014):

- *Different clients* disagree about the start. Their reports are one play also if they start within
  30 s or half the track, or if one gives the start and the other the end.
- *Minute-exact reports* (Spotify's account data) start up to a minute later than they say. Spotify
  measures the time heard to the millisecond in both of its exports: an account row and a row of the
  extended history are one play if the times heard are equal and the starts within that minute.
- *One client, several reports.* Two reports of one client that do not overlap are two plays, and no
  group may hold both.

A group is gathered around its earliest report, the *head*, so that chains cannot creep along an
evening of one song. The result depends on the set of reports alone, not on their order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol, TypeVar

from contracts.plays import LONGEST_MS, known_length

#: Farthest two starts of one play may lie apart if different clients report it, ms.
REACH_MS = 30_000
#: Two plays of one client may overlap by so much (a cross-fade, rounded times), ms.
_OVERLAP_MS = 15_000
#: How far the end that one client reports may lie from the end by another's report, ms.
_END_MS = 10_000
#: A client without times heard reports a play after half the track or this time, ms.
_SCROBBLED_MS = 240_000
#: Accuracy of a minute-exact start, ms.
MINUTE_MS = 60_000
#: Sources that know the minute only. They are clients of their own beside other sources of theirs.
MINUTE_EXACT = frozenset({"spotify-export/account"})
#: Sources that hold the same rows, once to the minute and once exactly.
_EXACT_TWIN = {"spotify-export/account": "spotify-export"}
#: No two reports of one play start farther apart than this.
FARTHEST = timedelta(milliseconds=LONGEST_MS + REACH_MS + MINUTE_MS)


class PlayReport(Protocol):
    """What the rule asks of a report."""

    @property
    def event_id(self) -> str: ...
    @property
    def played_at(self) -> datetime: ...
    @property
    def ms_played(self) -> int | None: ...
    @property
    def duration_ms(self) -> int | None: ...
    @property
    def skipped(self) -> bool | None: ...
    @property
    def clients(self) -> list[str]: ...


R = TypeVar("R", bound=PlayReport)


@lru_cache(maxsize=4096)
def client_of(source: str) -> str:
    """Return which client a source is, without its version.

    Examples
    --------
    >>> client_of("Navidrome/0.53") == client_of("navidrome/0.54")
    True
    >>> client_of("spotify-export/extended"), client_of("spotify-export/account")
    ('spotify-export', 'spotify-export/account')
    """
    whole = source.strip().lower()
    return whole if whole in MINUTE_EXACT else whole.partition("/")[0].strip()


def lasted(report: PlayReport) -> int:
    """Return the minimum duration of a play, ms; 0 if unknown."""
    length = known_length(report.duration_ms)
    if report.ms_played is not None:
        return max(0, min(report.ms_played, length or LONGEST_MS))
    if report.skipped:
        return 0
    return min(length // 2, _SCROBBLED_MS) if length else 0


def far(report: PlayReport) -> int:
    """Return how long after a report's start another report of the same play may start, ms."""
    longest = max(min(n or 0, LONGEST_MS) for n in (report.ms_played, report.duration_ms))
    return REACH_MS + MINUTE_MS + longest


def one_play(earlier: PlayReport, later: PlayReport) -> bool:
    """Return whether two reports of one recording are reports of one play.

    ``earlier`` must not start after ``later``.
    """
    gap = _ms(later.played_at - earlier.played_at)
    if set(earlier.clients) & set(later.clients):
        return gap < _certain(earlier, later)
    coarse = _coarse(earlier) != _coarse(later)
    if coarse and _twins(earlier, later):
        return earlier.ms_played == later.ms_played and gap < MINUTE_MS
    return (
        gap <= reach_ms(earlier, later)
        or gap < _certain(earlier, later)
        or _ends_there(gap, earlier, later)
    )


def _certain(earlier: PlayReport, later: PlayReport) -> int:
    """Return within which gap the two must be one, since they overlap by more than a little."""
    least = lasted(earlier)
    little = min(_OVERLAP_MS, least // 2)
    if _coarse(earlier) or _coarse(later):
        little = max(little, MINUTE_MS)
    return least - little


def reach_ms(one: PlayReport, other: PlayReport) -> int:
    """Return how far apart the reports of two clients may start and still be one play, ms."""
    known = [n for r in (one, other) if (n := known_length(r.duration_ms))]
    reach = min(REACH_MS, min(known) // 2) if known else REACH_MS
    return reach + (MINUTE_MS if _coarse(one) or _coarse(other) else 0)


def _ends_there(gap: int, earlier: PlayReport, later: PlayReport) -> bool:
    """Whether the later report gives the end of the play whose start the earlier one gives."""
    ends = [
        n
        for n in (earlier.ms_played, *(known_length(r.duration_ms) for r in (earlier, later)))
        if n is not None and n >= REACH_MS
    ]
    return any(abs(gap - end) <= _END_MS for end in ends)


def _coarse(report: PlayReport) -> bool:
    return MINUTE_EXACT.issuperset(report.clients)


def _twins(one: PlayReport, other: PlayReport) -> bool:
    """Whether both come from one account, once to the minute and once exactly."""
    if one.ms_played is None or other.ms_played is None:
        return False
    coarse, exact = (one, other) if _coarse(one) else (other, one)
    return any(_EXACT_TWIN.get(client) in exact.clients for client in coarse.clients)


def group(reports: Iterable[R], apart: Collection[str] = ()) -> list[list[R]]:
    """Return reports of one listener and one recording as plays, each with its head first.

    Parameters
    ----------
    apart
        Event ids that are never merged.

    Examples
    --------
    Two clients report one play, and one of them another play of the song:

    >>> from types import SimpleNamespace
    >>> def report(name: str, second: int, client: str) -> PlayReport:
    ...     return SimpleNamespace(event_id=name, clients=[client], ms_played=None, skipped=None,
    ...         played_at=datetime(2026, 1, 1) + timedelta(seconds=second), duration_ms=200_000)
    >>> reports = [report("a", 0, "web"), report("b", 9, "phone"), report("c", 210, "web")]
    >>> [[each.event_id for each in play] for play in group(reports)]
    [['a', 'b'], ['c']]
    """
    groups: list[list[R]] = []
    open_groups: list[list[R]] = []
    for report in sorted(reports, key=lambda r: (r.played_at, r.event_id)):
        if report.event_id in apart:
            groups.append([report])
            continue
        open_groups = [g for g in open_groups if _in_reach(g[0], report)]
        # The nearest head first: a song started over is reported twice by both clients.
        for members in sorted(open_groups, key=lambda g: _distance(g[0], report)):
            if _belongs(report, members):
                members.append(report)
                break
        else:
            open_groups.append([report])
            groups.append(open_groups[-1])
    return groups


def _in_reach(head: PlayReport, report: PlayReport) -> bool:
    return _ms(report.played_at - head.played_at) <= max(far(head), far(report))


def _distance(head: PlayReport, report: PlayReport) -> int:
    """Return how far apart two starts probably are: a minute-exact one is half a minute later."""
    late = [MINUTE_MS // 2 if _coarse(r) else 0 for r in (head, report)]
    return abs(_ms(report.played_at - head.played_at) + late[1] - late[0])


def _belongs(report: PlayReport, members: list[R]) -> bool:
    if not one_play(members[0], report):
        return False
    clients = set(report.clients)
    return all(one_play(m, report) for m in members[1:] if clients & set(m.clients))


def why(head: PlayReport, member: PlayReport) -> str:
    """Return in words why :func:`group` merged a report into the play of another."""
    gap = _ms(member.played_at - head.played_at)
    who, first = ", ".join(member.clients), ", ".join(head.clients)
    reported = f"{who} reported it {gap / 1000:g} s after {first}; "
    if not set(member.clients) & set(head.clients) and gap <= reach_ms(head, member):
        return f"{reported}starts within {reach_ms(head, member) / 1000:g} s are one play"
    if gap < _certain(head, member):
        return f"{reported}two plays of one song do not overlap"
    return f"{reported}that is where the play ended"


def _ms(difference: timedelta) -> int:
    return difference // timedelta(milliseconds=1)
