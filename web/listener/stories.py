"""A period as a story of cards, each also a picture; and tastes over months as a stream."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, NamedTuple

from starlette.responses import Response

from web.api import Refused, part
from web.charts.card import card_svg
from web.charts.heat import week
from web.charts.lines import Line
from web.charts.stream import stream
from web.listener.stats import ask, peak, week_title
from web.visit import Visit
from web.words import number, plural


class Card(NamedTuple):
    """What counts, where it leads, and a sentence."""

    big: str
    href: str
    words: str


async def story(visit: Visit, period: str) -> Response:
    """GET /ui/stats/story/2026 and /2026-11: a period in cards."""
    found, name = await _period(visit, period)
    return visit.page(
        "story.html", f"{name} in music", found=found, period=name, key=period,
        cards=_cards(visit, found) if found["totals"]["plays"] else [],
        heat=week(found["week"], week_title(found["week"])),
    )  # fmt: skip


async def picture(visit: Visit, period: str, card: str) -> Response:
    """GET /ui/stats/story/2026/1.svg: one card as a picture."""
    found, name = await _period(visit, period)
    cards = _cards(visit, found) if found["totals"]["plays"] else []
    place = int(card) - 1 if card.isascii() and card.isdigit() and len(card) < 3 else -1
    if not 0 <= place < len(cards):
        raise Refused(404, "unknown-card", f"The story of {name} has no card {card!r}.")
    shown = cards[place]
    body = card_svg(shown.big, shown.words, f"{name} · {visit.subject} · Segue", place)
    headers = {"content-disposition": f'attachment; filename="segue-{period}-{place + 1}.svg"'}
    return Response(body, media_type="image/svg+xml", headers=headers)


async def months(visit: Visit) -> Response:
    """GET /ui/stats/months: the most played artists over months."""
    text = visit.query("months", "12")
    count = int(text) if text in ("6", "12", "24", "60") else 12
    found = await visit.get(visit.of_subject("/stats/months"), tz=visit.who.time_zone, months=count)
    chart = None
    heard = {i for row in found["artists"] for i, plays in enumerate(row["plays"]) if plays}
    if len(heard) > 1:
        names = ", ".join(row["artist"] for row in found["artists"][:3])
        chart = stream(
            [date.fromisoformat(day) for day in found["months"]],
            [Line(row["artist"], row["plays"]) for row in found["artists"]],
            f"Most played in {count} months: {names}",
        )
    return visit.page(
        "months.html", "Tastes over months", chart=chart, count=count, any=bool(heard)
    )


async def _period(visit: Visit, period: str) -> tuple[dict[str, Any], str]:
    """Return the statistics of a year or a month, and its name."""
    month = len(period) == 7
    try:
        start = date.fromisoformat(f"{period}-01" if month else f"{period}-01-01")
        after = date(
            start.year + (start.month == 12 or not month), start.month % 12 + 1 if month else 1, 1
        )
    except ValueError:  # also after the last year of a calendar, 9999
        raise Refused(404, "unknown-period", f"{period!r} is neither a year nor a month.") from None
    found = await ask(visit, start.isoformat(), (after - timedelta(days=1)).isoformat())
    return found, f"{start:%B %Y}" if month else str(start.year)


def _cards(visit: Visit, found: dict[str, Any]) -> list[Card]:
    """Return the cards of a period with a play.

    Only heard plays by an artist with a name count for the artists: a period may have none.
    """
    totals, before, base = found["totals"], found["before"], visit.base
    hours = totals["hours"]
    words = "plays" + (f", {number(hours, 1 if hours < 10 else 0)} hours of music" if hours else "")
    words += f". {number(before['plays'])} in the time before." if before["plays"] else "."
    track = found["tracks"][0]
    day, hour, plays = peak(found["week"])
    cards = [Card(number(totals["plays"]), "", words)]
    if found["artists"]:
        top, *others = (row["artist"] for row in found["artists"][:4])
        words = f"was played most: {plural(found['artists'][0]['plays'], 'time')}."
        words += f" Then {', '.join(others)}." if others else ""
        cards.append(Card(top, visit.site.templates.artist_address(base, top), words))
    cards += [
        Card(track["name"], f"{base}/tracks/{part(track['track_id'])}",
             f"by {track['artist']} came back {plural(track['plays'], 'time')}."),
        Card(number(totals["discoveries"]), "",
             f"tracks heard for the first time, of {number(totals['tracks'])} by "
             f"{plural(totals['artists'], 'artist')}."),
        Card(f"{day}, {hour:02d} o’clock", "",
             f"is the hour of the week with the most music: {plural(plays, 'play')}."),
    ]  # fmt: skip
    if found["albums"]:
        album = found["albums"][0]
        href = f"{base}/albums?artist={part(album['artist'])}&name={part(album['name'])}"
        words = f"by {album['artist']} is the album: {plural(album['plays'], 'play')}."
        cards.append(Card(album["name"], href, words))
    return cards
