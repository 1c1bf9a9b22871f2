"""The log id is part of paths and keys, so it must be safe in both."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from confluent_kafka import Uuid
from hypothesis import given
from hypothesis import strategies as st

from contracts.kafka import log_id_of

_HALF = st.integers(-(2**63), 2**63 - 1)


@given(_HALF, _HALF)
def test_a_log_id_is_one_part_of_a_path(most: int, least: int) -> None:
    description = cast(Any, SimpleNamespace(topic_id=Uuid(most, least)))
    found = log_id_of(description)
    assert len(found) == 22
    assert not set(found) & set("/+= ")
