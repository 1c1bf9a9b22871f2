"""Hooks of MkDocs: a navigation entry that ends with "/" means all pages of that folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FIRST = ("README.md", "index.md")


def expand(entry: Any, pages: Path) -> Any:
    """Return an entry of the navigation with folders replaced by lists of their pages."""
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
