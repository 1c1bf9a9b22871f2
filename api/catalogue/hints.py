"""What to try where a search or a station finds nothing."""

from __future__ import annotations

from api.catalogue.reading import ask, ask_all
from api.errors import ApiError
from api.services import Services

_EMPTY = (
    "The catalogue is empty. It fills with the first `segue collect`; simulated listeners bring "
    "theirs within a minute of their start."
)
_ANYTHING = "select exists (select from catalogue_track_cards_v1)"
_TAG = "select exists (select from catalogue_artist_tags_v1 where tag = %(tag)s)"
# Tags that hold what was asked come first, then what most artists bear.
_TAGS = """
    select tag from catalogue_artist_tags_v1 group by tag
    order by position(%(tag)s in tag) > 0 desc, count(*) desc, tag limit 8
"""


async def nothing_found(services: Services, text: str) -> str:
    """Return a hint for a search without a find."""
    ((filled,),) = (await ask_all(services, [_ANYTHING], {}))[0]
    if not filled:
        return _EMPTY
    return f"No name has words that begin so: {text}. Fewer or shorter words find more."


async def nothing_fits(services: Services, tag: str | None, seeds: int) -> str:
    """Return a hint for a station without tracks.

    Parameters
    ----------
    tag
        The tag asked for, as the catalogue writes tags.
    seeds
        How many were given.
    """
    filled, known = await ask_all(services, [_ANYTHING, _TAG], {"tag": tag})
    if not filled[0][0]:
        return _EMPTY
    if tag is not None and not known[0][0]:
        return f"Nothing bears the tag {tag!r}.{await _there_are(services, tag)}"
    if seeds > 1:
        return "Nothing fits all of them: leave one out, or take a longer era."
    return "Nothing fits: no track of the catalogue is known to be so."


async def _there_are(services: Services, tag: str) -> str:
    try:
        rows = await ask(services, _TAGS, {"tag": tag})
    except ApiError:  # so many tags that they cannot be counted in time: the answer is no worse
        return ""
    return f" There are: {', '.join(name for (name,) in rows)}." if rows else ""
