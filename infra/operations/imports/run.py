"""An import from beginning to end: read, post, note how far it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from batch.posting import BATCH, LANES, Poster, open_client
from contracts.errors import ConfigurationError
from contracts.ids import partition_of
from contracts.posted import PostedPlay
from infra.operations.imports.checkpoint import Slot, State, key_of, slot_for
from infra.operations.imports.formats import FORMATS, hint_for, known, recognise
from infra.operations.imports.members import Damaged, Member, members
from infra.operations.imports.rejects import Reject
from infra.operations.imports.rows import ImportedRecord, Options, Readable, Refused

#: Records between two checkpoints.
CHUNK = BATCH * LANES
#: Value in a play that marks it as imported (relays send no history on).
_FROM = "file"
#: Names of members without plays that are remembered.
_SHOWN = 50
#: Notes of the report on a format.
_NOTES = {
    "spotify": "Spotify gives the end of a play; the start is that less the time heard.",
    "spotify-account-csv": "Account data give times to the minute, in UTC, and no track ids: the "
    "extended streaming history is the better export.",
    "scrobbler-log": "Players without a time zone write local time; it was taken as UTC.",
    "spotify-account": "Account data gives times to the minute, in UTC, and no track ids: the "
    "extended streaming history is the better export.",
}
#: Called with ``(bytes read, bytes in all, what is done)`` after every checkpoint.
Progress = Callable[[int, int, State], None]


class UnknownFormat(ConfigurationError):
    """No part of the file is a known export; ``what`` is the message without commands."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}. There are\n{known()}\n"
            "For a table with other columns: --column artist=NAME --column title=NAME "
            "--column time=NAME"
        )
        self.what = what


class ImportReport(msgspec.Struct, kw_only=True):
    """What ``segue import --json`` prints.

    ``kept + dropped + rejected = read``, over all runs of an import that was interrupted.
    ``resumed_from`` is how many records earlier runs had done.
    """

    file: str
    formats: list[str]
    read: int
    kept: int
    dropped: dict[str, int]
    rejected: dict[str, int]
    rejects_file: str | None
    ignored: list[str]
    notes: list[str]
    resumed_from: int
    retries: int
    seconds: float
    plays_per_s: float


@dataclass(frozen=True, slots=True)
class Request:
    """What to import where.

    Attributes
    ----------
    home
        Where checkpoints and rejects are kept.
    format
        One of :data:`FORMATS` or ``auto``.
    give_up_after
        Seconds the API may be away.
    name
        What the file is called in messages; empty: as it is called on disk.
    """

    file: Path
    api: str
    token: str
    home: Path
    options: Options
    format: str = "auto"
    give_up_after: float = 120.0
    name: str = ""

    @property
    def shown(self) -> str:
        """Name of the file in messages and reports."""
        return self.name or self.file.name


def run(request: Request, progress: Progress = lambda done, total, state: None) -> ImportReport:
    """Import a file; an interrupted import resumes at its checkpoint.

    Raises
    ------
    ConfigurationError
        There is no such file, its format is not known, or the API refuses permanently.
    StoreUnavailable
        The API is away; the same call resumes later.
    """
    if not request.file.is_file():
        raise ConfigurationError(f"there is no file {request.file} (a folder: give its zip)")
    if request.format != "auto" and request.format not in FORMATS:
        raise ConfigurationError(f"unknown format {request.format!r}; choose from\n{known()}")
    with slot_for(request.home, _key(request)) as slot, request.file.open("rb") as file:
        slot.state.file, slot.state.user = str(request.file), request.options.user
        return asyncio.run(_Import(request, slot, file, progress).run())


def _key(request: Request) -> str:
    """Return what names this import: the same file for another listener is another import."""
    options = request.options
    # Plays without a listener go to the token's account. The key is a hash: it shows no token.
    listener = options.user or request.token
    asked = (request.api, request.format, listener, str(options.private))
    return key_of(request.file, *asked, *(f"{k}={v}" for k, v in sorted(options.columns.items())))


class _Import:
    def __init__(self, request: Request, slot: Slot, file: BinaryIO, progress: Progress) -> None:
        self._request = request
        self._slot = slot
        self._state: State = slot.state
        self._file = file
        self._size = request.file.stat().st_size
        self._progress = progress
        self._damage = ""
        self._hints: dict[str, str] = {}

    async def run(self) -> ImportReport:
        started, state = time.monotonic(), self._state
        read_before, kept_before = state.read, state.kept
        async with open_client(self._request.api, self._request.token) as client:
            self._poster = Poster(client, self._request.give_up_after)
            try:
                for number, member in enumerate(members(self._file, self._request.shown)):
                    if number >= state.member:
                        await self._member(member)
                        state.member, state.record = number + 1, 0
                        self._slot.save()
            except Damaged as damage:  # what follows in the archive cannot be reached
                self._reject_member(self._request.shown, damage)
        if not state.formats:
            self._slot.forget()
            raise self._unknown()
        if not state.read:
            self._slot.forget()
            raise ConfigurationError(
                f"{self._request.shown} looks like {', '.join(state.formats)}, but holds no "
                "record: nothing was imported"
            )
        state.finished = True
        self._slot.save()
        seconds = time.monotonic() - started
        return ImportReport(
            file=state.file,
            formats=state.formats,
            read=state.read,
            kept=state.kept,
            dropped=state.dropped,
            rejected=state.rejected,
            rejects_file=str(self._slot.rejects) if state.rejects_bytes else None,
            ignored=state.ignored,
            notes=self._notes(),
            resumed_from=read_before,
            retries=self._poster.retries,
            seconds=round(seconds, 3),
            plays_per_s=round((state.kept - kept_before) / max(seconds, 1e-9), 1),
        )

    def _notes(self) -> list[str]:
        notes = [_NOTES[name] for name in self._state.formats if name in _NOTES]
        notes += [f"{name}: {hint}" for hint, name in self._hints.items()]
        notes += [f"{name}: no record in it" for name in self._state.empty]
        return notes

    async def _member(self, member: Member) -> None:
        state, asked = self._state, self._request.format
        chunk: list[ImportedRecord] = []
        found = asked
        try:
            head = member.stream.head()
            recognised = recognise(head, self._request.options)
            alone = member.name == _bare(self._request.shown)
            if asked == "auto" or not alone:
                if recognised is None or (asked not in ("auto", recognised)):
                    self._ignore(member.name, head)
                    return
                found = recognised
            if found not in state.formats:
                state.formats.append(found)
            before = state.read + len(chunk)
            for number, record in enumerate(self._records(found, member, alone), 1):
                if number <= state.record:
                    continue
                chunk.append(record)
                if len(chunk) >= CHUNK:
                    await self._take(chunk, member.name, found)
                    chunk = []
        except Damaged as damage:
            await self._take(chunk, member.name, found)
            self._reject_member(member.name, damage)
        else:
            await self._take(chunk, member.name, found)
            if state.read == before and not state.record and len(state.empty) < _SHOWN:
                state.empty.append(member.name)

    def _ignore(self, name: str, head: bytes) -> None:
        """Note a member without plays; one that people take for an export, with what to do."""
        if hint := hint_for(head):
            self._hints.setdefault(hint, name)
        if len(self._state.ignored) < _SHOWN:
            self._state.ignored.append(name)

    def _records(self, found: str, member: Member, alone: bool) -> Iterator[ImportedRecord]:
        stream: Readable = member.stream
        if found == "parquet":
            if not alone:
                raise Damaged("parquet inside an archive must be unpacked first")
            self._file.seek(0)
            stream = self._file
        return FORMATS[found][0](stream, self._request.options)

    async def _take(self, chunk: list[ImportedRecord], file: str, found: str) -> None:
        """Post the plays of a chunk, keep what was refused, and move the checkpoint."""
        state = self._state
        rejects: list[Reject] = []

        def refuse(record: ImportedRecord, refused: Refused, raw: str, form: str) -> None:
            counts = state.dropped if refused.dropped else state.rejected
            counts[refused.reason] = counts.get(refused.reason, 0) + 1
            if refused.keep:
                rejects.append(
                    Reject(
                        file=file,
                        record=record.line,
                        format=form,
                        reason=refused.reason,
                        detail=refused.detail,
                        raw=raw,
                        head=record.head,
                    )
                )

        lanes: list[list[ImportedRecord]] = [[] for _ in range(LANES)]
        for record in chunk:
            if record.play is not None:
                lanes[partition_of(record.play.user, LANES)].append(record)
        kept = 0
        for record, refused in await self._post(lanes):
            if refused is None:
                kept += 1
            else:
                raw = msgspec.json.encode(record.play).decode()
                refuse(msgspec.structs.replace(record, head=""), refused, raw, "jsonl")
        for record in chunk:
            if record.refused is not None:
                refuse(record, record.refused, record.raw, record.format or found)
        self._slot.keep(rejects)
        state.kept += kept
        state.record += len(chunk)
        self._slot.save()
        self._progress(self._file.tell(), self._size, state)

    async def _post(
        self, lanes: list[list[ImportedRecord]]
    ) -> list[tuple[ImportedRecord, Refused | None]]:
        outcomes: list[tuple[ImportedRecord, Refused | None]] = []

        async def run(lane: list[ImportedRecord]) -> None:
            # Exports are often newest first, and what follows what is learned in order of arrival.
            lane.sort(key=_in_time_order)
            for start in range(0, len(lane), BATCH):
                batch = lane[start : start + BATCH]
                for record in batch:
                    assert record.play is not None
                    record.play.imported_from = _FROM
                body = msgspec.json.encode({"plays": [record.play for record in batch]})
                results = await self._poster.send(body)
                for record, result in zip(batch, results, strict=True):
                    accepted = result.status == "accepted"
                    problem = Refused(f"api-{result.reason}", result.message)
                    outcomes.append((record, None if accepted else problem))

        await asyncio.gather(*(run(lane) for lane in lanes))
        return outcomes

    def _reject_member(self, name: str, damage: Damaged) -> None:
        state = self._state
        state.rejected["damaged"] = state.rejected.get("damaged", 0) + 1
        self._damage = str(damage)
        reject = Reject(
            file=name, record=0, format="jsonl", reason="damaged", detail=str(damage), raw=""
        )
        self._slot.keep([reject])
        self._slot.save()

    def _unknown(self) -> ConfigurationError:
        if self._damage:
            return ConfigurationError(self._damage)
        if "[Content_Types].xml" in self._state.ignored:
            return ConfigurationError(
                f"{self._request.shown} is a spreadsheet: save it as csv and import that"
            )
        if self._hints:
            return ConfigurationError("; ".join(f"{n}: {hint}" for hint, n in self._hints.items()))
        inside = ", ".join(self._state.ignored[:10])
        looked = f" (looked at {inside})" if len(self._state.ignored) > 1 else ""
        return UnknownFormat(f"{self._request.shown} is not an export that Segue can read{looked}")


def _in_time_order(record: ImportedRecord) -> tuple[str, int]:
    play = record.play
    assert isinstance(play, PostedPlay)
    return play.user, play.played_at


def _bare(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".zst")
