"""What a person sees once the stack is ready: addresses, the token, a call to try for each job."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

from rich.console import Console

from contracts.environ import read
from contracts.ids import artist_id, track_id
from contracts.options import Simulation
from contracts.search import search_text

_SHOWN = ("web", "api", "kafka", "redis", "postgres", "home", "logs", "admin_token")
# Breaks out of the quotes, so that the shell fills in the time.
_NOW = "'$(date +%s)'"
_PLAY = (
    '{"plays":[{"user":"ada","artist":"Air","title":"La femme d\'\\\'\'argent",'
    f'"played_at":{_NOW}000,"ms_played":200000}}]}}'
)
_LISTEN = (
    f'{{"listen_type":"single","payload":[{{"listened_at":{_NOW},"track_metadata":'
    '{"artist_name":"Air","track_name":"Sexy Boy"}}]}'
)


def calls(api: str) -> list[tuple[str, str]]:
    """Return ``(what it does, curl command)``; the commands read the token from ``$TOKEN``."""
    auth = '-H "Authorization: Bearer $TOKEN"'
    return [
        ("post a play", f"curl {auth} {api}/v1/plays -d '{_PLAY}'"),
        ("what next?", f'curl {auth} "{api}/v1/users/ada/recommendations?limit=5"'),
        ("trending", f"curl {auth} {api}/v1/trending"),
        (
            "submit a listen (ListenBrainz)",
            f"curl -H \"Authorization: Token $TOKEN\" {api}/1/submit-listens -d '{_LISTEN}'",
        ),
        ("my listens (ListenBrainz)", f"curl {api}/1/user/admin/listens {auth}"),
        ("reports, from the first segue nightly on", f"curl {auth} {api}/v1/reports"),
    ]


def catalogue_calls(api: str) -> list[tuple[str, str]]:
    """Return calls about the invented catalogue, which simulated listeners bring along."""
    from infra.simulator.catalogue import build  # only where it is shown

    world = build(read(Simulation).simulate_seed)
    known = world.tracks[world.by_genre["jazz"][0]]
    artist = known.artist
    auth = '-H "Authorization: Bearer $TOKEN"'
    words = quote_plus(search_text(artist))
    return [
        (
            "what next for a simulated listener, and why?",
            f'curl {auth} "{api}/v1/users/sim-00000/recommendations?limit=3&explain=true"',
        ),
        (
            f"what goes with {known.title}",
            f"curl {auth} {api}/v1/tracks/{track_id(artist, known.title)}/similar",
        ),
        (
            "find artists and tracks (the catalogue comes within a minute of the start)",
            f'curl {auth} "{api}/v1/search?q={words}"',
        ),
        ("an artist's page", f"curl {auth} {api}/v1/artists/{artist_id(artist)}"),
        (
            "a station, for one listener",
            f'curl {auth} "{api}/v1/stations?tag=jazz&mood=calm&user=sim-00000&limit=5"',
        ),
        ("music of an era", f'curl {auth} "{api}/v1/stations?era=90s&limit=5"'),
    ]


#: Points of HR@10 for a place that explores: measured at shares of .02 to .2 (docs/adr/0007).
_PRICE = 35.0


def exploration(share: float) -> str:
    """Return the share of exploration and its cost in one line.

    Examples
    --------
    >>> exploration(0.02)
    'Exploration: 2 % of the places show a lower-ranked track (costs about 0.7 points of HR@10).'
    """
    if share <= 0.0:
        return (
            "Exploration is off; segue experiment replay needs it. SEGUE_EXPLORE_SHARE=0.02 turns "
            f"it on and costs about {_PRICE * 0.02:.1f} points of HR@10 (docs/experiments.md)."
        )
    return (
        f"Exploration: {100 * share:g} % of the places show a lower-ranked track "
        f"(costs about {_PRICE * share:.1f} points of HR@10)."
    )


def show(console: Console, addresses: dict[str, Any], simulated: bool = False) -> None:
    """Print the table of addresses and the calls.

    Parameters
    ----------
    addresses
        The object ``segue up --json`` prints.
    simulated
        Whether there are simulated listeners, and so their catalogue (seconds after the start).
    """
    console.print()
    console.print("Open one of these in a browser:", highlight=False)
    for user, link in addresses["sign_in"].items():
        console.print(f"pages as {user:<12}{link}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    # Plain text, so that a line can be copied whole however narrow the terminal is.
    shown = {name.replace("_", " "): addresses[name] for name in _SHOWN}
    for name, address in {**shown, "docs": f"{addresses['api']}/docs"}.items():
        console.print(f"{name:<13}{address}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    line = exploration(addresses["explore_share"])
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print()
    console.print(f"TOKEN={addresses['admin_token']}", soft_wrap=True, highlight=False)
    more = catalogue_calls(addresses["api"]) if simulated else []
    for what, command in [*calls(addresses["api"]), *more]:
        console.print(f"# {what}", style="dim", highlight=False)
        console.print(command, markup=False, highlight=False, soft_wrap=True)
    console.print()
