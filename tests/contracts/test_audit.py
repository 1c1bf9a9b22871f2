"""Every action of the trail is one that the table takes."""

from __future__ import annotations

import re
from pathlib import Path

from contracts.audit import ACTIONS

_MIGRATION = Path(__file__).parents[2] / "infra" / "postgres" / "0030_audit.sql"


def test_actions_match_the_check_of_the_table() -> None:
    found = re.search(r"action ~ '([^']+)'", _MIGRATION.read_text())
    assert found is not None
    assert [action for action in ACTIONS if not re.fullmatch(found[1], action)] == []
