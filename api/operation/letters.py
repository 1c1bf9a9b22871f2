"""GET /v1/dead-letters: messages nobody could use, and sending them once more."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from msgspec import Meta

from api.account.body import read_struct
from api.audit import origin_of
from api.auth import Identity
from api.errors import ApiError, unavailable
from api.operation.exclusive import alone
from api.plays.parse import parse_plays
from api.services import Services
from api.web import Caller, With, answers, body_of, json_reply
from contracts import dead_letters
from contracts.accounts import ADMIN, ADMIN_ROLE
from contracts.audit import Entry, entry
from contracts.dead_letters import SENT, Letter, as_text
from contracts.errors import BrokerUnavailable, InvalidEvent

router = APIRouter(prefix="/v1", tags=["operation"])

#: Messages of each partition that are looked at, the newest: a flood must not fill the memory.
NEWEST = 5_000
#: Letters of one list, and of one replay, at most.
MOST = 500
#: A value of the filter; left out, it matches every letter.
_Word = Annotated[str, Query(max_length=256)]


class LetterRow(msgspec.Struct):
    """One message that could not be used.

    ``at`` is in milliseconds since the epoch; ``topic`` is ``http:<route>`` for what the API
    refused; ``stages`` are the consumers that refused it; ``user`` is the key of the message.
    """

    id: str
    at: int
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    stages: list[str]
    user: str | None
    bytes: int
    replayed: bool


class LetterGroup(msgspec.Struct):
    """Dead letters that were not sent again, by sender and reason they were refused."""

    topic: str
    reason: str
    count: int


class Letters(msgspec.Struct):
    """Letters, the newest first, at most 500; ``total`` counts all that match.

    ``groups`` count every waiting letter, regardless of the filter. ``looked_at`` is the number of
    messages of each partition that were read, the newest; older ones are found by `segue dlq`.
    """

    letters: list[LetterRow]
    total: int
    groups: list[LetterGroup]
    looked_at: int


class LetterWhole(msgspec.Struct):
    """One letter with its bytes: text where they are UTF-8, else ``base64:...``.

    ``whole_bytes`` is the size of the message where only its beginning is kept.
    """

    letter: LetterRow
    value: str | None
    whole_bytes: int | None


class ReplayIn(msgspec.Struct, kw_only=True):
    """Which letters to send: by id, or every one that waits with this topic and reason."""

    ids: Annotated[list[str], Meta(max_length=MOST)] = []
    topic: str | None = None
    reason: str | None = None


class Replayed(msgspec.Struct):
    """Result of a replay; ``sent`` is false if the letter still waits, ``outcome`` is why."""

    id: str
    sent: bool
    outcome: str


class ReplayDone(msgspec.Struct):
    """What became of each letter, and how many were sent and failed.

    ``left`` is how many more match the filter: a replay sends 500 at most.
    """

    sent: int
    failed: int
    letters: list[Replayed]
    left: int = 0


@router.get("/dead-letters", responses=answers(Letters), summary="Messages that cannot be used")
async def letters(
    services: With,
    caller: Caller,
    topic: _Word | None = None,
    reason: _Word | None = None,
    replayed: bool = False,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
) -> Response:
    """List dead letters that wait (administrators); `replayed`: also those sent once more."""
    caller.check_role(ADMIN_ROLE)
    found = await _read(services, lambda _: False)
    counts = Counter((x.content.topic, x.content.reason) for x in found if not x.replayed)
    groups = [LetterGroup(*key, count) for key, count in counts.most_common()]
    chosen = [x for x in found if _matches(x, topic, reason) and (replayed or not x.replayed)]
    rows = [_row(letter) for letter in reversed(chosen[-limit:])]
    return json_reply(Letters(rows, len(chosen), groups, NEWEST))


@router.get("/dead-letters/{letter_id}", responses=answers(LetterWhole), summary="One dead letter")
async def letter(services: With, caller: Caller, letter_id: str) -> Response:
    """Return a letter whole (administrators)."""
    caller.check_role(ADMIN_ROLE)
    found = await _one(services, letter_id)
    content = found.content
    return json_reply(LetterWhole(_row(found), as_text(content.value), content.whole_bytes))


@router.post(
    "/dead-letters/replay",
    responses=answers(ReplayDone),
    openapi_extra=body_of(ReplayIn),
    summary="Send dead letters once more",
)
async def replay_many(request: Request, services: With, caller: Caller) -> Response:
    """Send letters where they came from (administrators).

    A letter that was sent before is left alone. One that fails keeps waiting.
    """
    caller.check_role(ADMIN_ROLE)
    given = await read_struct(request, ReplayIn)
    if not given.ids and given.topic is None and given.reason is None:
        raise ApiError(400, "nothing-chosen", "Send ids, a topic or a reason.", field="ids")
    wanted = set(given.ids)
    origin = origin_of(request)
    async with alone(services, "dead-letters", "Dead letters are sent") as trail:
        # Looked at twice: which ones match, then those with their bytes.
        if not wanted:
            waiting = [x for x in await _read(services, lambda _: False) if not x.replayed]
            matching = [x.id for x in waiting if _matches(x, given.topic, given.reason)]
            wanted, left = set(matching[:MOST]), max(0, len(matching) - MOST)
        else:
            left = 0
        done = await _replay(services, caller, wanted)
        done.left = left
        trail.append(_noted(caller, origin, done, given.topic, given.reason))
    return json_reply(done)


@router.post(
    "/dead-letters/{letter_id}/replay",
    responses=answers(ReplayDone),
    summary="Send one dead letter once more",
)
async def replay_one(request: Request, services: With, caller: Caller, letter_id: str) -> Response:
    """Send one letter where it came from (administrators); asking twice sends it once."""
    caller.check_role(ADMIN_ROLE)
    async with alone(services, "dead-letters", "Dead letters are sent") as trail:
        done = await _replay(services, caller, {letter_id})
        trail.append(_noted(caller, origin_of(request), done))
    return json_reply(done)


async def _read(services: Services, keep: Callable[[str], bool]) -> list[Letter]:
    try:
        return await asyncio.to_thread(
            dead_letters.read, services.settings, replayed=True, keep=keep, newest=NEWEST
        )
    except BrokerUnavailable:
        raise unavailable("The dead letters cannot be read: Kafka does not answer") from None


async def _one(services: Services, letter_id: str) -> Letter:
    found = [x for x in await _read(services, lambda id_: id_ == letter_id) if x.id == letter_id]
    if not found:
        raise _unknown([letter_id])
    return found[0]


def _unknown(ids: list[str]) -> ApiError:
    named = ", ".join(repr(id_) for id_ in ids[:5])
    return ApiError(404, "unknown-letter", f"There is no dead letter {named}.")


async def _replay(services: Services, caller: Identity, wanted: set[str]) -> ReplayDone:
    found = [x for x in await _read(services, wanted.__contains__) if x.id in wanted]
    if missing := sorted(wanted - {x.id for x in found}):
        raise _unknown(missing)
    loop = asyncio.get_running_loop()

    def post(body: bytes) -> None:
        # Called in the thread of the replay, while the loop is free.
        asyncio.run_coroutine_threadsafe(_post(services, caller, body), loop).result(30)

    waiting = [x for x in found if not x.replayed]
    try:
        outcomes = await asyncio.to_thread(dead_letters.replay, services.settings, waiting, post)
    except (BrokerUnavailable, TimeoutError):
        raise unavailable("Kafka did not acknowledge; what was not sent keeps waiting") from None
    rows = [
        Replayed(x.id, outcomes.get(x.id) == SENT, outcomes.get(x.id, "sent before, not again"))
        for x in found
    ]
    sent = sum(row.sent for row in rows)
    return ReplayDone(sent, sum(o != SENT for o in outcomes.values()), rows)


async def _post(services: Services, caller: Identity, body: bytes) -> None:
    """Take a refused play as `POST /v1/plays` would; a second refusal makes no second letter."""
    try:
        parsed = parse_plays(body, caller, int(time.time() * 1000))
    except ApiError as error:
        raise InvalidEvent(error.code, f"refused again: {error.message}") from None
    if parsed.refused:
        reason, why, _ = parsed.refused[0]
        raise InvalidEvent(reason, f"refused again: {why}")
    await services.log.append(services.records.of_all(parsed.by_listener))


def _noted(
    caller: Identity,
    origin: str,
    done: ReplayDone,
    topic: str | None = None,
    reason: str | None = None,
) -> Entry:
    return entry(
        caller.user_id, "letter.replay", ADMIN, origin, "failed" if done.failed else "done",
        sent=done.sent, failed=done.failed, topic=topic, reason=reason,
        letters=[row.id for row in done.letters[:20]],
    )  # fmt: skip


def _matches(letter: Letter, topic: str | None, reason: str | None) -> bool:
    content = letter.content
    return (topic is None or content.topic == topic) and (
        reason is None or content.reason == reason
    )


def _row(letter: Letter) -> LetterRow:
    content = letter.content
    return LetterRow(
        letter.id, content.at, content.topic, content.partition, content.offset, content.reason,
        content.detail, letter.stages, as_text(content.key), letter.bytes, letter.replayed,
    )  # fmt: skip
