"""Fixtures every test may use."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import synthetic

if TYPE_CHECKING:
    from obstore.store import MemoryStore

ROOT = Path(__file__).resolve().parent.parent

# A busy machine is no failure; in CI hypothesis' own profile has the same setting.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if os.environ.get("CI") != "true":
    settings.load_profile("here")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--broker``: what the integration tests run on."""
    can_kafka = shutil.which("java") and shutil.which("mvn")
    parser.addoption(
        "--broker",
        choices=["tansu", "kafka", "both", "marked"],
        default=os.environ.get("SEGUE_TEST_BROKER", "marked" if can_kafka else "tansu"),
        help="broker of the integration tests; marked: the embedded one, and Apache Kafka too for "
        "the tests marked each_broker (the default where Java and Maven are installed)",
    )


@pytest.hookimpl(trylast=True)  # after pytest-randomly has put the files in random order
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that take minutes first; let integration tests pass with others' warnings."""
    items.sort(key=lambda item: item.get_closest_marker("starts_first") is None)
    lenient = pytest.mark.filterwarnings(
        "default", "error::pytest.PytestUnraisableExceptionWarning"
    )
    for item in items:
        if item.get_closest_marker("integration"):
            item.add_marker(lenient)


_DATA = Path(os.environ.get("SEGUE_DATA", ROOT.parent / "shared" / "data"))
_REAL = (_DATA / "30music_dev.parquet").exists()


def pytest_report_header() -> str:
    """Say which interaction data the quality gates use."""
    return f"interaction data: {_DATA if _REAL else 'synthetic (real data: set SEGUE_DATA)'}"


@pytest.fixture(scope="session")
def real_data() -> bool:
    """Whether :func:`shared_data` is the real interaction data."""
    return _REAL


@pytest.fixture(scope="session")
def shared_data(real_data: bool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the interaction data.

    The real data is not part of the repository. Where it is missing, :mod:`tests.synthetic` stands
    in: a test that uses this fixture needs expectations for both, chosen by :func:`real_data`.
    """
    if real_data:
        return _DATA
    folder = tmp_path_factory.mktemp("synthetic")
    synthetic.write_all(folder)
    return folder


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """Object storage in memory: the library's own, with versions and conditional writes."""
    from obstore.store import MemoryStore

    store = MemoryStore()
    monkeypatch.setattr("contracts.object_store._connect", lambda *_: store)
    return store


_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note every skip that the list does not allow."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(re.search(pattern, reason) for pattern in _allowed_skips()):
        _skipped.append(f"{report.nodeid}: {reason}")


def _allowed_skips() -> list[str]:
    lines = (ROOT / "tests" / "allowed_skips.txt").read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a test that did not run is a failure, unless its reason is on the list."""
    if os.environ.get("CI") == "true" and _skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which skips count as failures."""
    if os.environ.get("CI") == "true" and _skipped:
        terminalreporter.section("skipped in CI, not allowed")
        for line in _skipped:
            terminalreporter.write_line(line)
