"""Fixtures of the warehouse side."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty home whose name has a space in it."""
    return Settings(home=tmp_path / "a home")
