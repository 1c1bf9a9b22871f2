"""Fixtures every test may use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--broker``: what the integration tests run on."""
    can_kafka = shutil.which("java") and shutil.which("mvn")
    parser.addoption(
        "--broker",
        choices=["tansu", "kafka", "both"],
        default=os.environ.get("SEGUE_TEST_BROKER", "both" if can_kafka else "tansu"),
        help="broker of the integration tests; both where Java and Maven are installed",
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real interaction data, which is not part of the repository."""
    folder = Path(os.environ.get("SEGUE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("needs the interaction data (set SEGUE_DATA to its folder)")
    return folder
