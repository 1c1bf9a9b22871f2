"""Names of files in the stage: nothing is lost in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.snowflake_sink.files import RangeFile, newest

_OFFSET = st.integers(0, 2**63 - 1)
_WORD = st.text("abcXYZ019._-", min_size=1, max_size=30)
FILES = st.builds(
    RangeFile,
    topic=_WORD,
    log_id=_WORD,
    partition=st.integers(0, 20_000),
    first=_OFFSET,
    last=_OFFSET,
    rows=st.integers(0, 10**7),
)


@given(FILES, st.sampled_from(["", "landing/", "db/landing/"]))
def test_a_path_says_what_the_file_is(file: RangeFile, before: str) -> None:
    assert RangeFile.parse(before + file.path) == file


@given(st.text(max_size=60))
def test_other_names_are_not_ours(path: str) -> None:
    assert RangeFile.parse(path + ".json") is None


def test_the_newest_reaches_furthest() -> None:
    files = [RangeFile("t", "l", p, f, f + 9, 1) for p in (0, 1) for f in (10, 0, 20)]
    assert {p: f.first for p, f in newest(files).items()} == {0: 20, 1: 20}
