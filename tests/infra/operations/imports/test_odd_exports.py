"""Exports as people really have them: saved again, joined, wrapped, in other shapes and orders."""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import event_id
from contracts.posted import PostedPlay
from infra.operations.imports.dates import order_of
from infra.operations.imports.formats import hint_for
from infra.operations.imports.rows import Refused, when
from tests.infra.operations.imports.reading import read
from tests.infra.operations.imports.samples import spotify_row


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def found(content: bytes | str) -> tuple[set[str], list[PostedPlay], Counter[str]]:
    data = content if isinstance(content, bytes) else content.encode()
    formats, records = read(data)
    plays = [r.play for r in records if r.play is not None]
    return formats, plays, Counter(r.refused.reason for r in records if r.refused)


def starts(plays: list[PostedPlay]) -> list[int]:
    return [play.played_at for play in plays]


ACCOUNT: list[dict[str, Any]] = [
    {"endTime": "2024-04-01 12:03", "artistName": "A", "trackName": "One", "msPlayed": 180_000},
    {"endTime": "2024-04-01 12:06", "artistName": "B", "trackName": "Two", "msPlayed": 170_000},
]
SCROBBLE = {
    "artist": {"#text": "Moth"}, "name": "Clay", "date": {"uts": "1287713131", "#text": "x"}
}  # fmt: skip


# -- nothing is lost silently ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "format_", "count"),
    [
        ("lines", "\n".join(map(json.dumps, ACCOUNT)), "spotify-account", 2),
        ("columns", json.dumps({k: [r[k] for r in ACCOUNT] for k in ACCOUNT[0]}),
         "spotify-account", 2),
        ("columns by number", json.dumps(
            {k: {str(n): r[k] for n, r in enumerate(ACCOUNT)} for k in ACCOUNT[0]}),
         "spotify-account", 2),
        ("two arrays", json.dumps(ACCOUNT[:1]) + "\n" + json.dumps(ACCOUNT[1:]),
         "spotify-account", 2),
        ("arrays in an object", json.dumps({"x": [1, 2], "a": ACCOUNT[:1], "b": ACCOUNT[1:]}),
         "spotify-account", 2),
        ("one object", json.dumps(ACCOUNT[0]), "spotify-account", 1),
        ("indented object", json.dumps(ACCOUNT[0], indent=1), "spotify-account", 1),
        ("page of one", json.dumps({"recenttracks": {"track": SCROBBLE, "@attr": {}}}),
         "lastfm-json", 1),
        ("pages", json.dumps([{"recenttracks": {"track": [SCROBBLE] * 2}},
                              {"recenttracks": {"track": SCROBBLE}}]), "lastfm-json", 3),
        ("pages as lists", json.dumps([[SCROBBLE], [SCROBBLE]]), "lastfm-json", 2),
        ("pages of track", json.dumps([{"track": [SCROBBLE]}, {"track": SCROBBLE}]),
         "lastfm-json", 2),
    ],
)  # fmt: skip
def test_every_shape_of_json_is_read(name: str, content: str, format_: str, count: int) -> None:
    formats, plays, refused = found(content)
    assert (formats, len(plays), refused) == ({format_}, count, Counter()), name


def test_what_follows_the_document_is_reported() -> None:
    _, plays, refused = found(json.dumps(ACCOUNT) + "\nand more")
    assert len(plays) == 2
    assert refused == {"bad-json": 1}


@pytest.mark.parametrize("around", ["[%s]", '{"user": "x", "history": [%s], "more": 1}', "%s"])
@pytest.mark.parametrize(
    "bad",
    [
        '{"endTime": "2024-04-01 12:03", "artistName": "A", "trackName": "T", "msPlayed": }',
        '{"endTime": "2024-04-01 12:03", "artistName": None, "trackName": "T", "msPlayed": 1}',
        "{'endTime': '2024-04-01 12:03'}",
        '{"artistName": "\\q"}',
        '{"artistName" "A"}',
    ],
)
def test_a_record_that_is_no_json_costs_one_record(bad: str, around: str) -> None:
    first, last = map(json.dumps, ACCOUNT)
    text = around % (",\n" if "%s]" in around else "\n").join([first, bad, last])
    _, plays, refused = found(text)
    assert ([play.title for play in plays], refused) == (["One", "Two"], {"bad-json": 1})


def test_what_is_whole_in_an_object_that_was_cut_off_is_read() -> None:
    _, plays, refused = found(json.dumps({"history": ACCOUNT})[:-40])
    assert ([play.title for play in plays], refused) == (["One"], {"bad-json": 1})


@pytest.mark.parametrize("zero", ["\0", "\\u0000"])
def test_a_zero_byte_costs_one_record(zero: str) -> None:
    rows = [ACCOUNT[0], {**ACCOUNT[0], "artistName": "ZERO"}, ACCOUNT[1]]
    _, plays, refused = found(json.dumps(rows).replace("ZERO", f"A{zero}"))
    assert ([play.title for play in plays], refused) == (["One", "Two"], {"bad-text": 1})
    _, plays, refused = found("uts,artist,track\n1287713131,A,\0T\n1287713431,B,U\n")
    assert ([play.title for play in plays], refused) == (["U"], {"bad-text": 1})


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_an_export_without_header_may_have_any_separator(separator: str) -> None:
    rows = [("Moth", "Alba", "Clay", "22 Oct 2010 02:05"), ("Moth", "", "Rue", "22 Oct 2010 02:09")]
    text = "".join(separator.join(row) + "\n" for row in rows)
    formats, plays, refused = found(text)
    assert (formats, [play.title for play in plays], refused) == (
        {"lastfm-plain"}, ["Clay", "Rue"], {}
    )  # fmt: skip
    with_header = separator.join(("artist", "album", "track", "date")) + "\n" + text
    formats, plays, refused = found(with_header)
    assert (formats, [play.title for play in plays], refused) == ({"csv"}, ["Clay", "Rue"], {})


def test_an_object_too_long_for_memory_is_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.operations.imports.json_stream.MAX_RECORD", 1000)
    rows = [{**ACCOUNT[0], "trackName": f"Song {n}"} for n in range(5000)]
    document = {"about": {"version": 1}, "empty": [], "first": rows, "second": rows[:10]}
    _, plays, refused = found(json.dumps(document))
    assert len(plays) == 5010
    assert not refused


@pytest.mark.parametrize("depth", [400, 100_000])
@pytest.mark.parametrize("deep", ['{"a":', "[", '[{"x\\\\\\"[":', '[[1, {"endTime": '])
@pytest.mark.parametrize("many", [False, True])
def test_a_value_nested_too_deeply_costs_one_record(deep: str, depth: int, many: bool) -> None:
    """Between two plays of an array, or in a document of its own; a shallower one may be read."""
    ends = "".join(
        {"[": "]", "{": "}"}[c] for c in reversed(re.sub(r'"[^:]*:', "", deep)) if c in "[{"
    )
    value = deep * depth + "1" + ends * depth
    first, last = (json.dumps(play) for play in ACCOUNT)
    content = f"[{first}]\n{value}\n[{last}]" if many else f"[{first}, {value}, {last}]"
    _, plays, refused = found(content)
    assert len(plays) == 2
    assert sum(refused.values()) <= 1
    if depth == 100_000:
        assert sum(refused.values()) == 1


def test_files_people_take_for_exports_are_explained() -> None:
    inner = BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("plays.json", "[]")
    assert "archive inside" in hint_for(inner.getvalue())
    assert "csv" in hint_for(b"PK\x03\x04....xl/workbook.xml")
    assert "JSON" in hint_for(b"<!DOCTYPE html><html>")
    assert hint_for(b"artist,title") == ""


# -- other scrobblers -----------------------------------------------------------------------------

MALOJA = {
    "maloja": {"export_time": 1_700_000_000},
    "scrobbles": [
        {"time": 1_690_000_000, "duration": 180, "origin": "client:x", "track": {
            "artists": ["Moth", "Fern"], "title": "Clay", "length": 200,
            "album": {"albumtitle": "Pots", "artists": ["Moth"]}}},
        {"time": 1_690_000_400, "duration": None, "track": {
            "artists": ["Moth"], "title": "Sand", "album": None, "length": None}},
        {"time": 1_690_000_800, "track": {"artists": [], "title": "Nobody"}},
    ],
}  # fmt: skip
KOITO = {
    "version": "1", "user": "eva", "listens": [
        {"listened_at": "2023-07-22T04:26:40Z",
         "track": {"mbid": None, "duration": 200,
                   "aliases": [{"alias": "clay", "is_primary": False},
                               {"alias": "Clay", "is_primary": True}]},
         "album": {"aliases": [{"alias": "Pots", "is_primary": True}]},
         "artists": [{"is_primary": True, "aliases": [{"alias": "Moth", "is_primary": True}]}]},
    ],
}  # fmt: skip
MULTI = [
    {"data": {"track": "Clay", "artists": ["Moth"], "album": "Pots", "duration": 200,
              "listenedFor": 180, "playDate": "2023-07-22T04:26:40Z"},
     "meta": {"source": "Subsonic"}},
]  # fmt: skip
TAKEOUT = [
    {"header": "YouTube Music", "title": "Watched Clay", "titleUrl": "u", "time":
     "2023-07-22T04:26:40.123Z", "subtitles": [{"name": "Moth - Topic", "url": "v"}]},
    {"header": "YouTube Music", "title": "\u201eSand\u201c angesehen", "titleUrl": "u", "time":
     "2023-07-22T04:30:40Z", "subtitles": [{"name": "Moth - Thema"}]},
    {"header": "YouTube", "title": "Watched a cat", "titleUrl": "u", "time":
     "2023-07-22T04:40:40Z", "subtitles": [{"name": "Cats"}]},
    {"header": "YouTube Music", "title": "Watched a video that has been removed",
     "time": "2023-07-22T04:40:40Z"},
]  # fmt: skip
LOG = (
    "#AUDIOSCROBBLER/1.1\n#TZ/UTC\n#CLIENT/Rockbox\n"
    "Moth\tPots\tClay\t1\t200\tL\t1690000000\t\n"
    "Moth\t\tSand\t\t0\tS\t1690000400\n"
    "Moth\tshort\n"
)
ACTIVITY = (
    "Album Name,Artist Name,Song Name,Event Start Timestamp,Event End Timestamp,Event Type,"
    "Media Duration In Milliseconds,Play Duration Milliseconds,End Reason Type\n"
    "Pots,Moth,Clay,2023-07-22T04:26:40Z,2023-07-22T04:29:40Z,PLAY_END,200000,180000,"
    "NATURAL_END_OF_TRACK\n"
    "Pots,Moth,Sand,,2023-07-22T04:31:40Z,PLAY_END,200000,5000,TRACK_SKIPPED_FORWARDS\n"
    "Pots,Moth,Sand,,2023-07-22T04:31:40Z,LYRIC_DISPLAY,,,\n"
)
DAYS = (
    "Country,Track Identifier,Media type,Date Played,Hours,Play Duration Milliseconds,"
    "Track Description\n"
    "SE,1,AUDIO,20230722,4,180000,Moth - Clay\nSE,2,AUDIO,20230722,4,180000,Moth - Clay\n"
)


@pytest.mark.parametrize(
    ("content", "format_", "titles", "refused"),
    [
        (json.dumps(MALOJA), "maloja", ["Clay", "Sand"], {"no-name": 1}),
        (json.dumps(KOITO), "koito", ["Clay"], {}),
        (json.dumps(MULTI), "multi-scrobbler", ["Clay"], {}),
        (json.dumps(TAKEOUT), "youtube-music", ["Clay", "Sand"], {"video": 1, "no-name": 1}),
        (LOG, "scrobbler-log", ["Clay", "Sand"], {"bad-columns": 1}),
        (ACTIVITY, "apple-music-activity", ["Clay", "Sand"], {"no-play": 1}),
    ],
)
def test_exports_of_other_scrobblers(
    content: str, format_: str, titles: list[str], refused: dict[str, int]
) -> None:
    formats, plays, why = found(content)
    assert formats == {format_}
    assert [play.title for play in plays] == titles
    assert why == refused
    assert plays[0].played_at // 1000 == 1_690_000_000
    assert plays[0].artist.startswith("Moth")
    assert all(play.user == "eva" for play in plays)


def test_lengths_of_other_scrobblers_are_milliseconds() -> None:
    maloja, koito, multi, log, apple = (
        found(content)[1][0]
        for content in (json.dumps(MALOJA), json.dumps(KOITO), json.dumps(MULTI), LOG, ACTIVITY)
    )
    assert (maloja.ms_played, maloja.duration_ms, maloja.album) == (180_000, 200_000, "Pots")
    assert maloja.artist == "Moth, Fern"
    assert koito.duration_ms == multi.duration_ms == log.duration_ms == apple.duration_ms == 200_000
    assert multi.ms_played == apple.ms_played == 180_000
    assert found(LOG)[1][1].skipped is True
    assert found(ACTIVITY)[1][1].skipped is True
    assert starts(found(ACTIVITY)[1])[1] == at("2023-07-22 04:31:35")


def test_plays_of_a_day_have_ids_of_their_own() -> None:
    formats, plays, _ = found(DAYS)
    assert formats == {"apple-music-days"}
    assert len(set(starts(plays))) == 2
    by_day = "artist,title,date\n" + "Moth,Clay,2023-07-22\n" * 400
    _, plays, _ = found(by_day)
    assert len(set(starts(plays))) == 400
    assert all(at("2023-07-22") <= s < at("2023-07-23") for s in starts(plays))


@pytest.mark.parametrize("day", ["20230722", 20230722, 20230722.0, date(2023, 7, 22), "2023-07-22"])
def test_a_table_may_have_days_as_numbers_or_dates(day: object) -> None:
    """As text in csv, as a number in JSON, as either in parquet."""
    rows = [{"artist": "Moth", "title": "Clay", "date": day}] * 3
    out = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    contents = [out.getvalue()]
    if not isinstance(day, date):
        contents.append("\n".join(map(json.dumps, rows)).encode())
        contents.append(("artist,title,date\n" + f"Moth,Clay,{day}\n" * 3).encode())
    for content in contents:
        _, plays, refused = found(content)
        assert not refused
        assert starts(plays) == [at("2023-07-22") + 240_000 * n for n in range(3)]


def test_eight_digits_that_are_no_day_are_refused() -> None:
    _, plays, refused = found("artist,title,date\nMoth,Clay,20231399\n")
    assert not plays
    assert refused == {"bad-time": 1}


# -- Spotify --------------------------------------------------------------------------------------


def test_a_play_without_connection_keeps_its_own_time() -> None:
    rows = [
        spotify_row(ts="2023-05-02T18:00:10Z", offline=True, offline_timestamp=1_683_010_800),
        spotify_row(ts="2023-05-02T18:00:10Z", offline=True, offline_timestamp=1_683_011_000_000,
                    spotify_track_uri="u2"),
        spotify_row(ts="2023-05-02T18:05:00Z", offline=True, offline_timestamp=0,
                    spotify_track_uri="u3"),
        spotify_row(ts="2023-05-02T18:05:00Z", offline=True, offline_timestamp=4_683_011_000,
                    spotify_track_uri="u4"),
        spotify_row(ts="2023-05-02T18:05:00Z", offline=False, offline_timestamp=1_683_010_800,
                    spotify_track_uri="u5"),
    ]  # fmt: skip
    _, plays, refused = found(json.dumps(rows))
    assert not refused
    assert starts(plays) == [
        1_683_010_800_000, 1_683_011_000_000, *[at("2023-05-02 18:01:40")] * 3
    ]  # fmt: skip


def test_short_songs_on_repeat_are_kept_and_twins_are_not() -> None:
    rows = [spotify_row(ts=f"2023-05-02T18:00:{s:02d}Z", ms_played=12_000) for s in (0, 12, 24, 26)]
    _, plays, refused = found(json.dumps(rows))
    assert len(plays) == 3
    assert refused == {"repeated": 1}


def test_the_order_of_the_file_is_kept_within_a_minute() -> None:
    rows = [
        {**ACCOUNT[0], "trackName": title, "msPlayed": ms}
        for title, ms in (("a", 200_000), ("b", 10_000), ("c", 20_000), ("c", 20_000))
    ]
    _, plays, _ = found(json.dumps(rows))
    assert starts(plays) == sorted(starts(plays))
    assert len({event_id("eva", p.played_at, p.artist, p.title) for p in plays}) == 4
    # An export that begins with the same minute gives the same starts; a single row its own.
    earlier = [{**ACCOUNT[0], "endTime": "2024-04-01 12:01", "trackName": "z"}]
    assert starts(found(json.dumps(earlier + rows))[1])[1:] == starts(plays)
    assert starts(found(json.dumps(rows[:1]))[1]) == [at("2024-04-01 11:59:40")]


def test_no_two_rows_of_account_data_share_an_id() -> None:
    rows = [
        {**ACCOUNT[0], "endTime": "2024-04-01 12:03", "msPlayed": 70_000},
        {**ACCOUNT[0], "endTime": "2024-04-01 12:04", "msPlayed": 130_000},
    ]
    _, plays, _ = found(json.dumps(rows))
    assert len({event_id("eva", p.played_at, p.artist, p.title) for p in plays}) == 2


def test_reasons_are_true() -> None:
    rows = [
        {"endTime": "2024-04-01 12:03", "audiobookName": "B", "authorName": "C", "msPlayed": 1},
        {**ACCOUNT[0], "artistName": "Unknown Artist", "trackName": "Unknown Track"},
    ]
    assert found(json.dumps(rows))[2] == {"audiobook": 1, "placeholder": 1}


def test_spotify_saved_again_as_csv() -> None:
    header = "endTime,artistName,trackName,msPlayed,date"
    table = f"{header}\n2024-04-01 12:03,A,One,180000,2024-04-01\n2024-04-01 12:06,B,Two,0,\n"
    formats, plays, refused = found(table)
    assert formats == {"spotify-account-csv"}
    assert starts(plays) == [at("2024-04-01 12:00")]
    assert refused == {"not-heard": 1}
    assert plays[0].source == "spotify-export/account"
    keys = list(spotify_row())
    row = spotify_row(skipped="False", spotify_track_uri="")
    text = ",".join(keys) + "\n" + ",".join(f'"{row[k] or ""}"' for k in keys) + "\n"
    formats, plays, _ = found(text)
    assert formats == {"spotify-csv"}
    assert (plays[0].source, plays[0].skipped) == ("spotify-export/extended", False)
    assert plays[0].played_at == at("2023-11-14 22:13:20") - 200_000


def test_the_end_is_the_end_in_any_table() -> None:
    _, plays, _ = found("artist,title,end_time,ms_played\nA,One,2024-04-01 12:03:20,200000\n")
    assert starts(plays) == [at("2024-04-01 12:00")]


def test_rows_of_other_events_and_of_nothing_heard_are_no_plays() -> None:
    table = "artist,title,timeMs,event,msPlayed\nA,One,1690000000000,scrobble,\n"
    table += "A,Two,1690000400000,love,\nA,Three,1690000800000,scrobble,0\n"
    _, plays, refused = found(table)
    assert [play.title for play in plays] == ["One"]
    assert refused == {"no-play": 1, "not-heard": 1}


# -- times ----------------------------------------------------------------------------------------


def table_of(*dates: str) -> str:
    rows = "".join(f'Moth,Song {n},"{date}"\n' for n, date in enumerate(dates))
    return f"artist,track,date\n{rows}"


@pytest.mark.parametrize(
    ("dates", "right"),
    [
        (["31/12/2022 23:10:00", "25/12/2022 23:10:00", "02/01/2023 08:00:00"],
         ["2022-12-31 23:10", "2022-12-25 23:10", "2023-01-02 08:00"]),
        (["02/01/2023 08:00", "31/12/2022 23:10"], ["2023-01-02 08:00", "2022-12-31 23:10"]),
        (["12/26/2019 00:14", "1/2/2020 15:26"], ["2019-12-26 00:14", "2020-01-02 15:26"]),
        (["9/20/20 15:26", "9/2/20 15:26"], ["2020-09-20 15:26", "2020-09-02 15:26"]),
        (["02.01.2023 08:00", "03.01.2023 08:00"], ["2023-01-02 08:00", "2023-01-03 08:00"]),
        (["01/02/2023 08:00", "01/03/2023 08:00", "02/01/2023 08:00"],
         ["2023-01-02 08:00", "2023-01-03 08:00", "2023-02-01 08:00"]),
        (["12/26/2019 1:14 PM", "12/27/2019 12:14 AM"], ["2019-12-26 13:14", "2019-12-27 00:14"]),
        (["05/05/2023 08:00"], ["2023-05-05 08:00"]),
    ],
)  # fmt: skip
def test_one_order_of_day_and_month_for_a_file(dates: list[str], right: list[str]) -> None:
    _, plays, refused = found(table_of(*dates))
    assert not refused
    assert starts(plays) == [at(text) for text in right]


def test_dates_that_nothing_tells_apart_are_refused() -> None:
    _, plays, refused = found(table_of("02/01/2023 08:00", "02/01/2023 09:00"))
    assert plays == []
    assert refused == {"bad-time": 2}


@pytest.mark.parametrize(
    "text",
    [
        "2023-07-01 23:10:00 UTC", "2023-07-01 23:10:00 GMT", "2023-07-01 23:10:00Z",
        "2023-07-01 23:10:00 +00:00", "2023-07-01T23:10:00.000 UTC", "2023-07-02T01:10:00+02:00",
        "2023-07-01 23:10:00 (UTC)", "01 Jul 2023, 23:10 UTC", "Sat, 01 Jul 2023 23:10:00 GMT",
    ],
)  # fmt: skip
def test_zones_in_text(text: str) -> None:
    assert when(text) == at("2023-07-01 23:10:00")


def test_a_zone_we_do_not_know_is_refused() -> None:
    with pytest.raises(Refused, match="bad-time"):
        when("2023-07-01 23:10:00 EST")


@given(st.lists(st.integers(1_100_000_000, 1_700_000_000), min_size=1, max_size=40))
def test_a_decided_order_never_contradicts_a_row(seconds: list[int]) -> None:
    moments = [datetime.fromtimestamp(second, UTC) for second in seconds]
    for form, other in (("%d/%m/%Y %H:%M", "month first"), ("%m/%d/%Y %H:%M", "day first")):
        texts = [moment.strftime(form) for moment in moments]
        if any(moment.day > 12 for moment in moments):
            assert order_of(texts) not in ("", other)


def test_invisible_names_are_none() -> None:
    rows = "artist,title,uts\n\u200b,One,1690000000\nMira,\u200b\u200d,1690000000\n"
    rows += "\u2800,x,1690000000\n"
    assert found(rows)[2] == {"bad-text": 3}
