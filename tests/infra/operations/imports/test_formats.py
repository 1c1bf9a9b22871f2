"""Each export is recognised by its content and read to the last record."""

from __future__ import annotations

import io
import json
from collections import Counter

import msgspec
import pytest

from contracts.errors import ConfigurationError
from contracts.posted import PostedPlay
from infra.operations.imports import rejects
from infra.operations.imports.formats import FORMATS, recognise
from infra.operations.imports.rejects import Reject
from infra.operations.imports.rows import ImportedRecord, Options
from tests.infra.operations.imports.reading import read
from tests.infra.operations.imports.samples import SAMPLES, START, Sample, spotify_row


def plays(records: list[ImportedRecord]) -> list[PostedPlay]:
    return [record.play for record in records if record.play is not None]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_record_is_a_play_or_a_counted_refusal(sample: Sample) -> None:
    formats, records = read(sample.content)
    assert formats == {sample.format}
    found = [(play.artist, play.title, play.played_at) for play in plays(records)]
    assert found == sample.plays
    assert {play.user for play in plays(records)} == {"eva"}
    refused = Counter(record.refused.reason for record in records if record.refused)
    assert refused == sample.refused
    assert all(record.raw for record in records if record.refused)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_refused_record_read_again_is_refused_for_the_same_reason(sample: Sample) -> None:
    """Its raw text is whole: only the context of the file (who, what came before) is lost."""
    _, records = read(sample.content)
    lines = [
        msgspec.json.encode(
            Reject(
                file="f",
                record=record.line,
                format=record.format or sample.format,
                reason=record.refused.reason,
                detail="",
                raw=record.raw,
                head=record.head,
            )
        )
        for record in records
        if record.refused and record.refused.reason not in ("repeated", "other-listener")
    ]
    again = list(rejects.reader(FORMATS)(io.BytesIO(b"\n".join(lines)), Options(user="eva")))
    expected = dict(sample.refused)
    expected.pop("repeated", None)
    expected.pop("other-listener", None)
    if expected.pop("bad-columns", None):  # a line that could not be taken apart, now alone
        expected["bad-columns"] = sample.refused["bad-columns"]
    assert Counter(record.refused.reason for record in again if record.refused) == expected
    if lines:
        assert recognise(lines[0] + b"\n", Options()) == "rejects"


def test_a_file_of_many_listeners_keeps_their_names() -> None:
    (sample,) = (s for s in SAMPLES if s.name.endswith("traname.tsv"))
    _, records = read(sample.content, Options())
    assert [play.user for play in plays(records)] == ["user_000001", "user_000002"]
    assert plays(records)[1].artist == 'Say "Hi'  # quotes mean nothing in this format


def test_spotify_says_what_was_heard_and_nothing_of_where() -> None:
    rows = [
        spotify_row(skipped=True),
        spotify_row(reason_end="fwdbtn", ms_played=1000),
        spotify_row(reason_end="endplay", ms_played=2000),
        spotify_row(reason_end="trackdone", ms_played=3000),
        spotify_row(ts="never", user_agent_decrypted="secret agent"),
    ]
    _, records = read(json.dumps(rows).encode())
    found = [(play.ms_played, play.skipped, play.reason_end) for play in plays(records)]
    assert found == [
        (200_000, True, "trackdone"),
        (1000, True, "fwdbtn"),
        (2000, None, "endplay"),
        (3000, False, "trackdone"),
    ]
    assert plays(records)[0].spotify_uri == "spotify:track:5nRyqHJ5GDxkHaMEXzELFl"
    kept = records[-1].raw
    assert "never" in kept
    assert "192.0.2.7" not in kept
    assert "secret" not in kept
    assert b"192.0.2.7" not in msgspec.json.encode(plays(records))


def test_private_sessions_are_counted_not_kept_and_read_on_request() -> None:
    content = json.dumps([spotify_row(incognito_mode=True)]).encode()
    _, records = read(content)
    assert records[0].refused is not None
    assert not records[0].refused.keep
    _, records = read(content, Options(user="eva", private=True))
    assert len(plays(records)) == 1


@pytest.mark.parametrize(
    "content",
    [
        f"artist,title,played_at\nBjörk,Jóga,{START}\nAir,One,{START}\n",
        f'{{"artist": "Air", "title": "One", "played_at": {START}}}\n'
        f'{{"artist": "Björk", "title": "Jóga", "played_at": {START}}}\n',
        json.dumps([spotify_row(master_metadata_album_artist_name="Björk")], ensure_ascii=False),
    ],
)
def test_names_in_another_encoding_are_refused_not_garbled(content: str) -> None:
    _, records = read(content.encode("latin-1"))
    assert {play.artist for play in plays(records)} <= {"Air"}
    (refused,) = [record.refused for record in records if record.refused]
    assert refused.reason == "bad-text"
    assert "UTF-8" in refused.detail
    _, records = read(content.encode())
    assert "Björk" in {play.artist for play in plays(records)}


def test_columns_can_be_named() -> None:
    content = f"Band,Song,At\nAir,One,{START}\n".encode()
    assert recognise(content, Options()) is None
    options = Options(columns={"artist": "Band", "title": "song", "time": "At"})
    formats, records = read(content, options)
    assert formats == {"csv"}
    assert plays(records)[0].played_at == START
    with pytest.raises(ConfigurationError, match=r"no column Bund.*there are Band, Song, At"):
        list(FORMATS["csv"][0](io.BytesIO(content), Options(columns={"artist": "Bund"})))


@pytest.mark.parametrize(
    "content",
    [b"", b"hello\nworld\n", b"\x00\x01\x02", b"[1, 2, 3]", b'{"a": 1}', b"%PDF-1.7", b"a,b\n1,2"],
)
def test_what_is_no_export_is_not_taken_for_one(content: bytes) -> None:
    assert recognise(content, Options()) is None
