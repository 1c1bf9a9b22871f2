"""Connect a player: exactly what to enter, and a tick when the first play arrives."""

from __future__ import annotations

from typing import NamedTuple

from starlette.responses import Response

from web.api import Away, Refused
from web.visit import Visit


class Player(NamedTuple):
    """How one kind of player is pointed here; ``{api}`` and ``{token}`` are filled in."""

    name: str
    steps: tuple[tuple[str, str], ...]
    note: str = ""


PLAYERS = (
    Player("Navidrome", (
        ("ListenBrainz.BaseURL (in navidrome.toml)", "{api}/1/"),
        ("Token (Personal → ListenBrainz)", "{token}"),
    )),
    Player("Web Scrobbler", (
        ("ListenBrainz API URL", "{api}/1/submit-listens"),
        ("Token", "{token}"),
    )),
    Player("Pano Scrobbler, multi-scrobbler and others with “custom ListenBrainz”", (
        ("Server address", "{api}"),
        ("Token", "{token}"),
    )),
    Player("Players that speak Last.fm (2.0)", (
        ("Address", "{api}/2.0/"),
        ("User", "{user}"),
        ("Password", "{token}"),
    ), "Where the player hashes the password, tick “for players that hash” above."),
    Player("mpdscribble, VLC (Audioscrobbler 1.2)", (
        ("Address", "{api}/"),
        ("User", "{user}"),
        ("Password", "{token}"),
    ), "These hash the password: tick “for players that hash” above."),
    Player("By hand, to see it work", (
        ("Command", "curl -H 'Authorization: Token {token}' {api}/1/submit-listens -d "
         "'{{\"listen_type\":\"single\",\"payload\":[{{\"listened_at\":'$(date +%s)',"
         "\"track_metadata\":{{\"artist_name\":\"Air\",\"track_name\":\"Sexy Boy\"}}}}]}}'"),
    )),
)  # fmt: skip
_PLACEHOLDER = "(make a token above)"


async def page(visit: Visit) -> Response:
    """GET /ui/connect."""
    return await _page(visit)


async def make_token(visit: Visit) -> Response:
    """POST /ui/connect: a token for a player, shown this once."""
    label = visit.form.get("label", "").strip()
    if not label:
        return await _page(visit, 400, wrong={"label": "Name the player, such as “kitchen”."})
    scrobbler = visit.form.get("scrobbler") == "on"
    body = {"label": label, "scrobbler": scrobbler}
    if visit.for_another:
        body["user"] = visit.subject
    try:
        made = await visit.send("POST", "/v1/me/tokens", body)
    except Refused as error:
        if error.status == 401:
            raise
        return await _page(visit, 400, wrong={"label": error.message})
    except Away as error:
        return await _page(visit, 503, wrong={"label": f"No token was made: {error.message}"})
    return await _page(visit, token=made["token"])


async def _page(
    visit: Visit, status: int = 200, token: str = "", wrong: dict[str, str] | None = None
) -> Response:
    values = {
        "api": visit.site.public_api,
        "user": visit.subject,
        "token": token or _PLACEHOLDER,
    }
    players = [
        (player.name, [(what, text.format(**values)) for what, text in player.steps], player.note)
        for player in PLAYERS
    ]
    return visit.page(
        "connect.html", "Connect a player", status, players=players, token=token,
        wrong=wrong or {}, typed=visit.form,
    )  # fmt: skip
