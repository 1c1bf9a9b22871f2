"""Templates: one a page, one a fragment; a fragment is the same file in a page and in an event."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contracts.ids import artist_id
from web import words
from web.api import part
from web.assets import Assets


class Templates:
    """The environment of the templates; everything is escaped unless it is markup already."""

    def __init__(self, assets: Assets) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            asset=assets.address,
            album_address=_album_address,
            artist_address=artist_address,
            plural=words.plural,
            tile=words.tile,
        )
        self._environment.filters.update(
            ago=words.ago,
            chance=words.chance,
            lasting=words.lasting,
            number=words.number,
            part=part,
            when=words.when,
        )

        self.artist_address = artist_address

    def render(self, template: str, /, **values: Any) -> str:
        """Return the text of a template."""
        return self._environment.get_template(template).render(**values)


def artist_address(base: str, name: str) -> str:
    """Return the address of an artist's page; the name helps where the catalogue has no such."""
    return f"{base}/artists/{artist_id(name)}?name={part(name)}"


def _album_address(base: str, artist: str, name: str) -> str:
    """Return the address of an album's page."""
    return f"{base}/albums?artist={part(artist)}&name={part(name)}"
