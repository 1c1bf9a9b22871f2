"""What to try where a search or a station finds nothing."""

from __future__ import annotations

from api.catalogue.reading import ask_all
from api.services import Services

_EMPTY = (
    "The catalogue is empty. It fills with the first `segue collect`; simulated listeners bring "
    "theirs within a minute of their start."
)
_ANYTHING = "select exists (select from catalogue_track_cards)"
_TAG = "select exists (select from catalogue_artist_tags where tag = %(tag)s)"
# Tags that hold what was asked come first, then what most artists bear.
_TAGS = """
    select tag from catalogue_artist_tags group by tag
    order by position(coalesce(%(tag)s, tag) in tag) > 0 desc, count(*) desc, tag limit 8
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
    filled, known, tags = await ask_all(services, [_ANYTHING, _TAG, _TAGS], {"tag": tag})
    if not filled[0][0]:
        return _EMPTY
    if tag is not None and not known[0][0]:
        return f"Nothing bears the tag {tag!r}. There are: {', '.join(name for (name,) in tags)}."
    if seeds > 1:
        return "Nothing fits all of them: leave one out, or take a longer era."
    return "Nothing fits: no track of the catalogue is known to be so."
