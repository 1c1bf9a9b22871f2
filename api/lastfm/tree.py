"""Answers as a tree, written as XML or as the JSON that Last.fm derives from that XML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

# XML 1.0 cannot carry these, not even escaped.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass(slots=True)
class Node:
    """An element: its text or its children, and its attributes.

    Numbers are numbers in JSON, where Last.fm's are: players in strict languages insist on it.

    Attributes
    ----------
    holds
        Name of the children of a list: in JSON they are always an array, however many there are.
        Last.fm itself gives an object for one; clients that take that take an array too, and others
        take nothing else.

    Examples
    --------
    >>> Node("artist", "Air", {"corrected": "0"}).xml()
    '<artist corrected="0">Air</artist>'
    >>> Node("artist", "Air", {"corrected": "0"}).json()
    {'#text': 'Air', 'corrected': '0'}
    >>> Node("recenttracks", attributes={"total": "0"}, holds="track").json()
    {'@attr': {'total': '0'}, 'track': []}
    >>> Node("toptags", children=[Node("tag", "rock")], holds="tag").json()
    {'tag': ['rock']}
    """

    name: str
    text: str | int = ""
    attributes: Mapping[str, str | int] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    holds: str = ""

    def xml(self) -> str:
        """Return the element as XML."""
        attributes = "".join(
            f" {name}={quoteattr(_clean(str(value)))}" for name, value in self.attributes.items()
        )
        inner = "".join(child.xml() for child in self.children) or escape(_clean(str(self.text)))
        return f"<{self.name}{attributes}>{inner}</{self.name}>"

    def json(self) -> Any:
        """Return the element as JSON: one child of a name is an object, several an array."""
        if not self.children and not self.holds:
            if not self.attributes:
                return self.text
            return {"#text": self.text, **self.attributes}
        made: dict[str, Any] = {"@attr": dict(self.attributes)} if self.attributes else {}
        if self.holds:
            made[self.holds] = []
        for child in self.children:
            value = child.json()
            if child.name not in made:
                made[child.name] = value
            elif isinstance(made[child.name], list):
                made[child.name].append(value)
            else:
                made[child.name] = [made[child.name], value]
        return made


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def success(node: Node | None, as_json: bool) -> bytes:
    """Return the body of an answer; ``None`` where there is nothing to say but ok."""
    if as_json:
        return msgspec.json.encode({} if node is None else {node.name: node.json()})
    return _document("ok", "" if node is None else node.xml())


def failure(code: int, message: str, as_json: bool) -> bytes:
    """Return the body of an error."""
    if as_json:
        return msgspec.json.encode({"error": code, "message": message})
    return _document("failed", Node("error", message, {"code": str(code)}).xml())


def _document(status: str, inner: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return f'{head}<lfm status="{status}">{inner}</lfm>\n'.encode()
