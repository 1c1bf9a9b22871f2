"""Taste: what the listener loves and hides; every list's buttons end here."""

from __future__ import annotations

from starlette.responses import Response

from web.api import Away, Refused
from web.visit import Visit
from web.words import plural

_SAID = {
    "love": "Loved: “{title}”. It counts from the next list on.",
    "hide": "Hidden: “{title}” has left your lists. Take it back under Taste.",
    "hate": "Hidden permanently: “{title}”. Take it back under Taste.",
    "undo": "Taken back: “{title}” may be in your lists again.",
}
_PAGE = 100
_TABS = (("love", "Loved"), ("hide", "Hidden"), ("hate", "Hated"))


async def page(visit: Visit) -> Response:
    """GET /ui/taste."""
    kind = visit.query("kind", "love")
    kind = kind if kind in dict(_TABS) else "love"
    offset = visit.offset(99_999)
    found = await visit.get(visit.of_subject("/feedback"), kind=kind, limit=_PAGE, offset=offset)
    return visit.page(
        "taste.html", "Taste", kind=kind, tabs=_TABS, found=found, offset=offset, size=_PAGE,
        said=visit.query("said"),
    )  # fmt: skip


async def say(visit: Visit) -> Response:
    """POST /ui/feedback: love, hide, hate or undo one track."""
    form = visit.form
    kind, title = form.get("kind", ""), form.get("title", "")[:200]
    back = _back(visit)
    if kind not in _SAID:
        return _answer(visit, back, "Nothing was noted: say love, hide, hate or undo.", 400)
    body = {"user": visit.subject, "kind": kind, "track_id": form.get("track", "")}
    if form.get("artist") and title:
        body |= {"artist": form["artist"], "title": form["title"]}
    try:
        await visit.send("POST", "/v1/feedback", body)
    except Refused as error:
        if error.status == 401:
            raise
        return _answer(visit, back, f"Not noted: {error.message}", error.status)
    except Away as error:
        return _answer(visit, back, f"Not noted, try again: {error.message}", 503)
    return _answer(visit, back, _SAID[kind].format(title=title or "the track"))


async def artist(visit: Visit) -> Response:
    """POST /ui/taste/artist: hide an artist, or show it again."""
    name, undo = visit.form.get("artist", ""), visit.form.get("kind") == "undo"
    back = _back(visit)
    title = visit.form.get("title", "")
    body = {"artist": name, "titles": [title] if title else []}
    path = visit.of_subject(f"/hidden-artists{'/undo' if undo else ''}")
    try:
        done = await visit.send("POST", path, body)
    except Refused as error:
        if error.status == 401:
            raise
        return _answer(visit, back, f"Not noted: {error.message}", error.status)
    except Away as error:
        return _answer(visit, back, f"Not noted, try again: {error.message}", 503)
    tracks = plural(done["tracks"], "track")
    if undo:
        return _answer(visit, back, f"{tracks} by {name} may be in your lists again.")
    return _answer(visit, back, f"{tracks} by {name} left your lists. Take it back on its page.")


def _back(visit: Visit) -> str:
    """Return the page a form came from: one of ours."""
    back = visit.form.get("back", "")
    return back if back.startswith("/ui/") and back.isprintable() else f"{visit.base}/"


def _answer(visit: Visit, back: str, said: str, status: int = 200) -> Response:
    if visit.scripted:  # htmx shows the text regardless of the status
        return visit.fragment("said.html", said=said, ok=status == 200)
    return visit.go(back, said=said)
