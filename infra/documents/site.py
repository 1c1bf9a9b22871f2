"""Fills ``.site/pages``, the folder that MkDocs reads: ``python -m infra.documents.site``.

The pages keep their place in the repository, so that a link works in the repository and in the
site. The references of API, command line and Python are generated beside them.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from infra.documents import api_reference, cli_reference, openapi, python_reference

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / ".site"
PAGES = SITE / "pages"
#: Where `make docs` has npm put Mermaid: the site loads nothing from another host.
MERMAID = SITE / "npm" / "package" / "dist" / "mermaid.min.js"

_LOADED = re.compile(
    r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"?((?:https?:)?//[^\s\">]+)"
)
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def documents(root: Path) -> list[Path]:
    """Return the Markdown pages of the repository, relative to it."""
    patterns = ("*.md", "*/README.md", "*/*/README.md", "docs/**/*.md")
    found = {path.relative_to(root) for pattern in patterns for path in root.glob(pattern)}
    return sorted(path for path in found if not path.parts[0].startswith("."))


def linked_files(root: Path, pages: list[Path]) -> set[Path]:
    """Return the other files that pages link to: pictures, the licence."""
    found = set()
    for page in pages:
        for target in _LINK.findall((root / page).read_text()):
            path = (root / page.parent / target).resolve()
            if path.is_file() and path.suffix != ".md":
                found.add(path.relative_to(root))
    return found


def assemble() -> None:
    """Write every page."""
    shutil.rmtree(PAGES, ignore_errors=True)
    pages = documents(ROOT)
    for path in [*pages, *linked_files(ROOT, pages)]:
        (PAGES / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, PAGES / path)
    made = {
        "cli.md": cli_reference.render(),
        "api.md": api_reference.render(openapi.document()),
        **{f"python/{name}": text for name, text in python_reference.pages(ROOT).items()},
    }
    for name, text in made.items():
        path = PAGES / "reference" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    script = PAGES / "assets" / "mermaid.min.js"
    script.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(MERMAID, script)


def foreign(folder: Path) -> list[str]:
    """Return what pages of a built site would load from other hosts, as ``page: address``."""
    return [
        f"{path.relative_to(folder)}: {address}"
        for path in sorted(folder.rglob("*.html"))
        for address in _LOADED.findall(path.read_text())
    ]


def main(arguments: list[str]) -> int:
    """Assemble the pages; with ``--check`` fail if the built site loads from other hosts."""
    if arguments != ["--check"]:
        assemble()
        return 0
    found = foreign(SITE / "html")
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
