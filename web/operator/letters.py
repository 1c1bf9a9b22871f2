"""Dead letters: what could not be used, why, its bytes, and sending it once more."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from web.api import Refused, part
from web.visit import Visit
from web.words import plural

#: Reason -> what it means, where the word does not say it.
REASONS = {
    "bad-json": "it is no JSON",
    "bad-schema": "it lacks a field, or a field has another type",
    "bad-version": "it has a version that is not understood here",
    "empty": "it has no value",
}


async def page(visit: Visit) -> Response:
    """GET /ui/ops/dead-letters: those that wait, by where they came from and why."""
    topic, reason = visit.query("topic")[:256], visit.query("reason")[:256]
    everything = visit.query("all") == "on"
    found = await visit.get(
        "/v1/dead-letters", topic=topic or None, reason=reason or None, replayed=everything
    )
    return visit.page(
        "letters.html", "Dead letters", found=found, topic=topic, reason=reason,
        everything=everything, waiting=sum(group["count"] for group in found["groups"]),
        meanings=REASONS, said=visit.query("said")[:500],
    )  # fmt: skip


async def one(visit: Visit, letter: str) -> Response:
    """GET /ui/ops/dead-letters/...: one letter with its bytes."""
    found = await visit.get(f"/v1/dead-letters/{part(letter)}")
    return visit.page(
        "letter.html", "Dead letter", found=found, letter=found["letter"], meanings=REASONS,
        said=visit.query("said")[:500],
    )  # fmt: skip


async def replay_one(visit: Visit, letter: str) -> Response:
    """POST /ui/ops/dead-letters/.../replay."""
    here = f"/ui/ops/dead-letters/{part(letter)}"
    try:
        done = await visit.send("POST", f"/v1/dead-letters/{part(letter)}/replay")
    except Refused as error:
        return _refused(visit, here, error)
    return visit.go(here, said=_words(done))


async def replay_many(visit: Visit) -> Response:
    """POST /ui/ops/dead-letters: every letter that waits with a topic and a reason."""
    topic, reason = visit.form.get("topic", ""), visit.form.get("reason", "")
    try:
        done = await visit.send(
            "POST", "/v1/dead-letters/replay", {"topic": topic, "reason": reason}
        )
    except Refused as error:
        return _refused(visit, "/ui/ops/dead-letters", error)
    return visit.go("/ui/ops/dead-letters", said=_words(done))


def _refused(visit: Visit, here: str, error: Refused) -> Response:
    if error.status != 409:
        raise error
    return visit.go(here, said=error.message)


def _words(done: dict[str, Any]) -> str:
    """Return what a replay did, in a sentence or two.

    Examples
    --------
    >>> row = {"id": "a", "sent": False, "outcome": "refused again: too old"}
    >>> _words({"sent": 2, "failed": 1, "letters": [row], "left": 0})
    '2 messages sent once more. 1 failed and keeps waiting: refused again: too old.'
    >>> again = {"id": "a", "sent": False, "outcome": "sent before, not again"}
    >>> _words({"sent": 0, "failed": 0, "letters": [again], "left": 0})
    'Nothing was sent: sent before, not again.'
    """
    not_sent = next((row["outcome"] for row in done["letters"] if not row["sent"]), "")
    if not done["sent"] and not done["failed"]:
        return f"Nothing was sent: {not_sent or 'no letter waits'}."
    text = f"{plural(done['sent'], 'message')} sent once more."
    if done["failed"]:
        keeps = "keeps" if done["failed"] == 1 else "keep"
        text += f" {done['failed']:,} failed and {keeps} waiting: {not_sent.rstrip('.')}."
    if done["left"]:
        text += f" {done['left']:,} more wait: send again."
    return text
