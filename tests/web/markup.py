"""Reads a page as a strict parser would, and reports what is wrong with it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_HTML = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "wbr"}
_VOID = _HTML | {"source", "track", "path", "rect", "circle"}
_HOST = re.compile(r"https?://(?!api\b|127\.0\.0\.1|www\.w3\.org)")


class Page(HTMLParser):
    """A page taken apart.

    Attributes
    ----------
    problems
        What must not be there.
    headings, links, ids
        Levels of headings, addresses and ids in the order of the page.
    text
        All of its text.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.headings: list[int] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.forms: list[tuple[dict[str, str | None], list[str]]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        self.problems += [f"<{tag}> is not closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if len(given) != len(attrs):
            self.problems.append(f"an attribute twice in <{tag}>")
        for name, value in attrs:
            if name == "style" or name.startswith("on") or name.startswith("hx-on"):
                self.problems.append(f"{name}= in <{tag}>")
            if name in ("href", "src", "action") and _HOST.search(value or ""):
                self.problems.append(f"address of another host: {value}")
        if tag == "style" or (tag == "script" and "src" not in given):
            self.problems.append(f"inline <{tag}>")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "a":
            self.links.append(given.get("href") or "")
        if "id" in given:
            self.ids.append(given["id"] or "")
        if tag == "form":
            self.forms.append((given, []))
        if tag == "input" and self.forms:
            self.forms[-1][1].append(given.get("name") or "")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        if not self._open or self._open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self._open[-1:]}")
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Page:
    """Return a page and check what every page must keep to."""
    page = Page(html)
    assert not page.problems, page.problems
    assert len(set(page.ids)) == len(page.ids), f"an id twice: {page.ids}"
    return page


def read_whole(html: str) -> Page:
    """The same for a whole page: one h1, no level of headings left out, POST forms proven."""
    page = read(html)
    assert page.headings.count(1) == 1, page.headings
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps), page.headings
    return page
