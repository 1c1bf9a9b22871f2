"""Hooks of MkDocs: folders in the navigation, and docstrings in Sphinx markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

# Sphinx roles in docstrings, which Markdown shows as text.
_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):(?=<code>)")
_FIRST = ("README.md", "index.md")


def expand(entry: Any, pages: Path) -> Any:
    """Return an entry of the navigation; one that ends with "/" becomes the pages of the folder."""
    if isinstance(entry, list):
        return [expand(each, pages) for each in entry]
    if isinstance(entry, dict):
        return {title: expand(each, pages) for title, each in entry.items()}
    if not str(entry).endswith("/"):
        return entry
    found = (path.relative_to(pages).as_posix() for path in (pages / entry).glob("*.md"))
    return sorted(found, key=lambda path: (Path(path).name not in _FIRST, path))


def on_config(config: Any) -> Any:
    """Expand the navigation (called by MkDocs)."""
    config["nav"] = expand(config["nav"], Path(config["docs_dir"]))
    return config


def on_page_content(html: str, **_: Any) -> str:
    """Remove the names of Sphinx roles from a page (called by MkDocs)."""
    return _ROLE.sub("", html)
