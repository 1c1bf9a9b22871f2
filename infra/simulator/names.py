"""Invented names of artists, albums and tracks: plausible, and nobody's."""

from __future__ import annotations

from random import Random


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ADJECTIVES = _words(
    "Amber Borrowed Brittle Copper Crooked Distant Drowned Early Electric Empty Faded Feral "
    "Frozen Gilded Glass Hollow Hushed Idle Indigo Ivory Lunar Midnight Molten Narrow Northern "
    "Open Pale Paper Patient Quiet Restless Rusted Salt Scarlet Second Silver Sleepless Slow "
    "Small Solar Southern Static Tender Thin Undone Velvet Violet Wandering Western Wild Winter "
    "Wooden"
)
_NOUNS = _words(
    "Anchor Antenna Archive Arrow Atlas Avenue Balcony Basin Beacon Bridge Cabin Candle Canyon "
    "Carousel Cathedral Chapel Circuit Cloud Coast Comet Compass Corridor Crane Delta Desert "
    "Echo Engine Estuary Falcon Feather Ferry Field Fire Forest Fountain Garden Ghost Glacier "
    "Harbour Heart Hotel Island Juniper Kite Ladder Lantern Letter Lighthouse Machine Magnet "
    "Map Meadow Mirror Monsoon Moth Motor Mountain Ocean Orchard Organ Parade Pilot Planet "
    "Prism Radio Raven River Room Satellite Season Shadow Signal Sparrow Station Stone Storm "
    "Street Summer Telescope Theatre Thread Tiger Tower Train Tunnel Valley Violin Voyage Wave "
    "Window"
)
_FIRST = _words(
    "Ada Aiko Alba Amara Anouk Arlo Astrid Bela Bruno Calla Cyrus Dario Delia Edda Elio Esme "
    "Farid Flora Gaia Hana Hugo Ida Imani Inés Ivo Jonas Juno Kaia Keiko Lars Leila Linus Lotte "
    "Malik Mara Milo Nadia Nils Noor Odile Oskar Paloma Petra Quinn Rafa Rosa Sabine Sami Selma "
    "Soren Tariq Tove Uma Vera Viggo Wanda Yara Yusuf Zadie Zora"
)
_LAST = _words(
    "Abendroth Achterberg Almeida Baptiste Bellweather Bergström Castellano Dagny Delacroix "
    "Eastwick Fairwood Falk Figueira Greaves Halloran Hartmoor Holloway Ibarra Kestrel "
    "Kowalczyk Lindqvist Lovelace Marchetti Mbeki Moreau Nakagawa Nightingale Norling Okafor "
    "Oyelaran Pemberton Quintero Rasmussen Ravenhill Rosales Saltmarsh Silvera Sorokin Starling "
    "Takeda Thackeray Umarov Vandermeer Vasquez Wetherby Wren Yilmaz Zielinski"
)
_VERBS = _words(
    "Burn Carry Chase Cross Draw Follow Forget Hold Keep Leave Learn Lose Measure Mend Name "
    "Outrun Paint Remember Save Sing Steal Trade Wake Watch"
)
_SYLLABLES = _words("ba ce da el fi go ha is jo ka lu mo na or pe qui ra si to ul va wen xa yo zi")


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def artist(rng: Random) -> str:
    """Return one name for an artist; names may repeat."""
    form = rng.randrange(7)
    if form == 0:
        return f"The {rng.choice(_ADJECTIVES)} {_plural(rng.choice(_NOUNS))}"
    if form == 1:
        return f"{rng.choice(_NOUNS)} & {rng.choice(_NOUNS)}"
    if form == 2:
        return f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"
    if form == 3:
        return "".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))).capitalize()
    if form == 4:
        return f"{rng.choice(_FIRST)} and the {_plural(rng.choice(_NOUNS))}"
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


def title(rng: Random) -> str:
    """Return one title for a track; titles may repeat."""
    form = rng.randrange(7)
    if form == 0:
        return f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}"
    if form == 1:
        return f"{rng.choice(_VERBS)} the {rng.choice(_NOUNS)}"
    if form == 2:
        return f"{rng.choice(_NOUNS)} of {_plural(rng.choice(_NOUNS))}"
    if form == 3:
        return f"{rng.choice(_FIRST)}'s {rng.choice(_NOUNS)}"
    if form == 4:
        return f"{rng.choice(_VERBS)} Me {rng.choice(_ADJECTIVES)}"
    if form == 5:
        return rng.choice(_NOUNS)
    return f"{rng.choice(_ADJECTIVES)} {rng.choice(_NOUNS)}, Pt. {rng.randint(1, 3)}"
