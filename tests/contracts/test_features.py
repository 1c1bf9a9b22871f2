"""The packed listener blob reads back what was written and refuses what is torn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import features
from contracts.errors import IncompatibleState
from tests.blobs import pack_play

PLAYS = st.lists(
    st.tuples(
        st.integers(0, 2**32 - 1), st.integers(1, 2**64 - 2), st.integers(0, 255), st.integers(0, 1)
    ),
    max_size=features.WINDOW,
)


@given(PLAYS, st.lists(st.integers(1, 2**64 - 2), max_size=5))
def test_a_blob_reads_back(plays: list[tuple[int, int, int, int]], hidden: list[int]) -> None:
    head = bytes([features.LAYOUT_VERSION, 0]) + len(hidden).to_bytes(2, "big")
    blob = head + b"".join(k.to_bytes(8, "big") for k in hidden)
    blob += b"".join(pack_play(*p) for p in plays)
    listener = features.Listener.unpack(blob)
    assert listener.seconds.tolist() == [p[0] for p in plays]
    assert listener.tracks.tolist() == [p[1] for p in plays]
    assert listener.ratios.tolist() == [p[2] for p in plays]
    assert listener.hidden.tolist() == hidden


def test_a_stranger_has_no_plays() -> None:
    assert features.Listener.unpack(None).tracks.size == 0


@pytest.mark.parametrize(
    "blob", [b"", b"\x01", b"\x02\x00\x00\x00", features.EMPTY + b"x" * 13, b"\x01\x00\x00\x09"]
)
def test_a_torn_blob_is_refused(blob: bytes) -> None:
    with pytest.raises(IncompatibleState):
        features.Listener.unpack(blob)


def test_a_full_window_stays_below_the_published_size() -> None:
    """Section 6 of the design: < 1 kB at 50 plays and < 4.5 kB at the cap, keys included."""
    key = len(features.Keys("segue", 4).listener("u" * 36))
    overhead = 100 + key  # object header, string header and dictionary entry of the server
    assert features.HEADER_BYTES + 50 * features.PLAY_BYTES + overhead < 1_000
    assert features.HEADER_BYTES + features.WINDOW * features.PLAY_BYTES + overhead < 4_500
