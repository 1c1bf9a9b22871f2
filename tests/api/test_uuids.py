"""UUIDs in bodies: exactly one, with nothing after it."""

from __future__ import annotations

import msgspec
import pytest

from api.listenbrainz.limits import UuidText

UUID = "7B81A3b7-60aa-4de7-a8d4-0bf8d4bba2a9"


@pytest.mark.parametrize("bad", [UUID + "\n", UUID + " ", "\n" + UUID, UUID[:-1], UUID + "a", ""])
def test_nothing_may_follow_a_uuid(bad: str) -> None:
    assert msgspec.convert(UUID, UuidText) == UUID
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad, UuidText)
