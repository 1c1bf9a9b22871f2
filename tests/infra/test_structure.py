"""Imports have one direction: no module imports itself by way of others."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

FOLDERS = ("contracts", "online_model", "streams", "batch", "api", "web", "infra")


def _imports() -> dict[str, set[str]]:
    """Return what each module imports, also what it imports for the type checker alone."""
    graph = grimp.build_graph(*FOLDERS, exclude_type_checking_imports=False, cache_dir=None)
    return {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}


def test_no_circle_of_imports() -> None:
    imports = _imports()
    assert len(imports) > 400
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_a_circle_would_be_seen() -> None:
    imports = _imports()
    imports["web.site"].add("web.visit")
    with pytest.raises(CycleError):
        TopologicalSorter(imports).prepare()
