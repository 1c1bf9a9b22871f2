"""Any bytes: every parser ends, with plays that the API can take and refusals that are kept."""

from __future__ import annotations

import io
import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.plays.wire import PlayIn
from contracts.errors import ConfigurationError, Terminal
from infra.operations.imports.checkpoint import _line
from infra.operations.imports.formats import FORMATS, recognise
from infra.operations.imports.members import members
from infra.operations.imports.rejects import Reject
from infra.operations.imports.rows import ImportedRecord, Options, Refused, when
from tests.infra.operations.imports.samples import SAMPLES, listen, spotify_row

_PARSERS = sorted(set(FORMATS) - {"parquet"})
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def check(records: list[ImportedRecord], format_: str) -> None:
    """Every record is one of both; plays can be sent, refusals can be written."""
    for record in records:
        assert (record.play is None) != (record.refused is None)
        if record.play is not None:
            sent = msgspec.json.encode(record.play)
            incoming = msgspec.json.decode(sent, type=PlayIn)
            assert incoming.artist.strip()
            assert incoming.title.strip()
            assert isinstance(incoming.played_at, int)
        else:
            assert record.refused is not None
            line = _line(
                Reject(
                    file="f",
                    record=record.line,
                    format=format_,
                    reason=record.refused.reason,
                    detail=record.refused.detail,
                    raw=record.raw,
                    head=record.head,
                )
            )
            assert line.count(b"\n") == 1
            msgspec.json.decode(line, type=Reject)


def parse(format_: str, content: bytes) -> list[ImportedRecord]:
    try:
        return list(FORMATS[format_][0](io.BytesIO(content), Options()))
    except ConfigurationError:  # a table without the columns of plays
        assert format_ in ("csv", "lastfm-csv", "parquet")
        return []


@given(st.sampled_from(_PARSERS), st.binary() | st.text().map(str.encode))
def test_noise(format_: str, content: bytes) -> None:
    check(parse(format_, content), format_)


@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_exports_with_bytes_changed(sample_: object, draw: random.Random) -> None:
    content = bytearray(sample_.content)  # type: ignore[attr-defined]
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(content))
        if draw.random() < 0.3:
            del content[at : at + draw.randrange(1, 40)]
        else:
            content[at : at + 1] = bytes(
                draw.choices(b'\x00\xff"[]{},\t\n\\u', k=draw.randrange(3))
            )
        content = content or bytearray(b"x")
    file = io.BytesIO(bytes(content))
    try:
        for member in members(file, "file"):
            found = recognise(member.stream.head(), Options())
            if found is not None:
                stream = file if found == "parquet" else member.stream
                file.seek(0) if found == "parquet" else None
                check(list(FORMATS[found][0](stream, Options())), found)
    except Terminal:  # Damaged, or no real parquet file: an error, not a traceback
        return


@given(st.dictionaries(st.sampled_from(sorted(spotify_row())), _values))
def test_spotify_rows_of_any_values(changes: dict[str, object]) -> None:
    content = json.dumps([spotify_row(**changes), spotify_row()]).encode()
    records = parse("spotify", content)
    check(records, "spotify")
    assert len(records) == 2


@given(_values, _values, st.dictionaries(st.text(), _values))
def test_listens_of_any_values(at: object, name: object, info: dict[str, object]) -> None:
    strange = listen("One", listened_at=at)
    strange["track_metadata"] |= {"artist_name": name, "additional_info": info}
    records = parse("listenbrainz", f"{json.dumps(strange)}\n{json.dumps(listen('Two'))}".encode())
    check(records, "listenbrainz")
    assert len(records) == 2


@given(_values, _values, _values)
def test_scrobbles_of_any_values(artist: object, name: object, date: object) -> None:
    content = json.dumps([{"artist": artist, "name": name, "date": date, "#text": 1}]).encode()
    records = parse("lastfm-json", content)
    check(records, "lastfm-json")
    assert len(records) == 1


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"))))
def test_every_line_of_a_tsv_is_a_record(texts: list[str]) -> None:
    content = "".join(f"{text}\n" for text in texts).encode()
    records = parse("lastfm-1k", content)
    assert [record.line for record in records] == list(range(1, len(texts) + 1))
    check(records, "lastfm-1k")


@given(_values)
def test_a_time_is_in_range_or_refused(value: object) -> None:
    try:
        found = when(value)
    except Refused:
        return
    assert 0 < found <= 253_402_300_799_999


@pytest.mark.parametrize(
    "text",
    ["2012-01-31T09:05:00Z", "2012-01-31 10:05:00+01:00", "31 Jan 2012 09:05", "31 Jan 2012, 09:05",
     "1328000700", 1328000700, 1328000700_000, "1328000700000", 1328000700_000_000, 1328000700.0],
)  # fmt: skip
def test_times_as_exports_write_them(text: object) -> None:
    assert when(text) == 1_328_000_700_000
