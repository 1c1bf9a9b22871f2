"""Which tracks may come on a station: one question to PostgreSQL, made of the seeds given."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any

from api.catalogue.answers import CARD
from api.catalogue.moods import MOODS
from api.errors import ApiError

#: Candidates a station is made of: pages end there.
MOST = 600
#: Artists a tag or an artist leads to.
_ARTISTS = 1000
#: Weight of an artist's tag for each of the artist's tracks; a tag of the track itself weighs 1.
_THROUGH_ARTIST = 0.7
#: A track must match a mood's sound this well, 0 .. 1.
_CLOSE = 0.6
_YEARS = re.compile(r"((?:1[89]|20)\d\d)(?:-((?:1[89]|20)\d\d)|(s))?")
_DECADE = re.compile(r"'?(\d0)'?s")

_BY_TAG = f"""
    select track_id, weight as match from catalogue_track_tags_v1 where tag = any(%({{name}})s)
    union all
    select k.track_id, {_THROUGH_ARTIST} * g.weight
    from (
        select artist_id, max(weight) as weight from catalogue_artist_tags_v1
        where tag = any(%({{name}})s) group by 1 order by 2 desc, 1 limit {_ARTISTS}
    ) g
    join catalogue_track_cards_v1 k using (artist_id)
"""  # noqa: S608
_BY_ARTIST = """
    select k.track_id, g.weight as match
    from (
        select %(artist)s::uuid as artist_id, 1.0 as weight
        union all
        select other_id, 0.9 * score from catalogue_neighbours_v1 where artist_id = %(artist)s
    ) g
    join catalogue_track_cards_v1 k using (artist_id)
"""
_BY_SOUND = f"""
    select track_id, ({{match}})::real as match from catalogue_track_cards_v1
    where {{known}} and {{match}} >= {_CLOSE}
    union all
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Seeds:
    """What the tracks of a station must match; at least one attribute is given.

    Attributes
    ----------
    tag
        A genre or another tag, such as ``"jazz"``.
    era
        Years, such as ``"90s"``.
    mood
        Name of a mood, such as ``"calm"``.
    artist
        Catalogue id: tracks of this artist and of similar ones.
    """

    tag: str | None = None
    era: str | None = None
    mood: str | None = None
    artist: uuid.UUID | None = None

    def question(self) -> tuple[str, dict[str, Any]]:
        """Return statement and arguments; rows are cards and how well each fits, best first.

        Raises
        ------
        ApiError
            400: a seed is unknown or cannot be read, or there is none.
        """
        given: dict[str, Any] = {"most": MOST}
        parts: list[str] = []
        if self.tag is not None:
            given["tags"] = [self.tag]
            parts.append(_BY_TAG.format(name="tags"))
        if self.artist is not None:
            given["artist"] = self.artist
            parts.append(_BY_ARTIST)
        if self.mood is not None:
            parts.append(self._by_mood(given))
        where = ""
        if self.era is not None:
            given["first"], given["last"] = years(self.era)
            where = "where c.year between %(first)s and %(last)s"
        if not parts and not where:
            raise ApiError(
                400, "bad-parameter", "Give at least one of tag, era, mood and artist.", field="tag"
            )
        joins = "".join(
            f"join (select track_id, max(match) as match from ({part}) p group by 1) m{n} "  # noqa: S608
            "using (track_id) "
            for n, part in enumerate(parts)
        )
        match = " * ".join(f"m{n}.match" for n in range(len(parts))) or "1.0"
        statement = (
            f"select {CARD}, {match} * (0.3 + 0.7 * c.popularity) as fit "  # noqa: S608
            f"from catalogue_track_cards_v1 c {joins}{where} "
            "order by fit desc, c.track_id limit %(most)s"
        )
        return statement, given

    def _by_mood(self, given: dict[str, Any]) -> str:
        mood = MOODS.get((self.mood or "").lower())
        if mood is None:
            raise ApiError(
                400, "bad-parameter", f"mood is one of {', '.join(sorted(MOODS))}.", field="mood"
            )
        given["moods"] = list(mood.tags)
        far = " + ".join(f"abs({name} - {value})" for name, value in mood.sound.items())
        known = " and ".join(f"{name} is not null" for name in mood.sound)
        match = f"1 - ({far}) / {len(mood.sound)}"
        return _BY_SOUND.format(match=match, known=known) + _BY_TAG.format(name="moods")


def years(era: str) -> tuple[int, int]:
    """Return the first and last year of an era: ``1994``, ``1994-1999``, ``1990s`` or ``90s``.

    Raises
    ------
    ApiError
        400: it is written in another way.

    Examples
    --------
    >>> years("90s"), years("2000s"), years("1994-1999"), years("20s")
    ((1990, 1999), (2000, 2009), (1994, 1999), (2020, 2029))
    """
    if match := _DECADE.fullmatch(era.lower()):
        decade = int(match[1])
        first = decade + (1900 if decade > 20 else 2000)
        return first, first + 9
    if match := _YEARS.fullmatch(era.lower()):
        first = int(match[1])
        if match[3] and first % 10 == 0:
            return first, first + 9
        last = int(match[2] or first)
        if not match[3] and first <= last:
            return first, last
    raise ApiError(
        400, "bad-parameter", "era is a year, two (1994-1999) or a decade (1990s).", field="era"
    )
