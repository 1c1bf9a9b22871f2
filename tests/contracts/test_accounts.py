"""Tokens are hashed in one way, and the database accepts every role."""

from __future__ import annotations

import hashlib
import re

from contracts.accounts import ROLES, token_hash, token_row
from infra.stack.migrations import FOLDER

_CHECK = re.compile(r"roles\s+<@\s+array\[(.*?)\]", re.DOTALL)


def test_a_token_is_stored_as_its_sha256() -> None:
    assert token_hash("abc") == hashlib.sha256(b"abc").digest()
    assert token_row("abc", "ada", ("listener",))["token_hash"] == token_hash("abc")


def test_a_token_that_is_no_unicode_is_hashed_all_the_same() -> None:
    assert len(token_hash("\ud800")) == 32


def test_the_database_accepts_every_role() -> None:
    checks = [_CHECK.findall(path.read_text()) for path in sorted(FOLDER.glob("*.sql"))]
    latest = [found for found in checks if found][-1][-1]
    assert set(ROLES) <= set(re.findall(r"'(\w+)'", latest))
