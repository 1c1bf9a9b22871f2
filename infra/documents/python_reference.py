"""Pages of the Python reference: one a module, filled from docstrings by mkdocstrings."""

from __future__ import annotations

from pathlib import Path

#: Packages that a user imports. Modules that begin with "_" are not for them.
PACKAGES = ("contracts", "online_model")


def pages(root: Path) -> dict[str, str]:
    """Return ``path below reference/python -> Markdown`` of every public module."""
    made = {}
    for package in PACKAGES:
        for path in sorted((root / package).glob("*.py")):
            if path.stem.startswith("_") and path.stem != "__init__":
                continue
            module = package if path.stem == "__init__" else f"{package}.{path.stem}"
            made[f"{module}.md"] = f"# {module}\n\n::: {module}\n"
    made["index.md"] = _index(list(made))
    return made


def _index(names: list[str]) -> str:
    lines = "".join(f"- [{name.removesuffix('.md')}]({name})\n" for name in names)
    return (
        "# Python reference\n\nGenerated from docstrings. `online_model` is the recommender, "
        f"`contracts` holds the formats that the processes share.\n\n{lines}"
    )
