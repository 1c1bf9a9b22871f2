"""A small export of each shape, made by us, and what must come of it."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: 2023-11-14T22:13:20Z
START = 1_700_000_000_000
UTC = "2023-11-14T22:13:20Z"


@dataclass(frozen=True, slots=True)
class Sample:
    """A file, its format, the ``(artist, title, start in ms)`` in it, and the refusals."""

    name: str
    format: str
    content: bytes
    plays: list[tuple[str, str, int]]
    refused: dict[str, int] = field(default_factory=dict)


def spotify_row(**changes: Any) -> dict[str, Any]:
    """Return a row of the extended streaming history; it ended at :data:`UTC`."""
    row = {
        "ts": UTC,
        "platform": "linux",
        "ms_played": 200_000,
        "conn_country": "SE",
        "ip_addr": "192.0.2.7",
        "master_metadata_track_name": "La Femme d'Argent",
        "master_metadata_album_artist_name": "Air",
        "master_metadata_album_album_name": "Moon Safari",
        "spotify_track_uri": "spotify:track:5nRyqHJ5GDxkHaMEXzELFl",
        "episode_name": None,
        "spotify_episode_uri": None,
        "reason_start": "clickrow",
        "reason_end": "trackdone",
        "skipped": None,
        "incognito_mode": False,
    }
    return {**row, **changes}


_NAMELESS: dict[str, Any] = {
    "master_metadata_track_name": None,
    "master_metadata_album_artist_name": None,
    "spotify_track_uri": None,
}
SPOTIFY_ROWS = [
    spotify_row(),
    spotify_row(ms_played=200_000),  # the export has it twice
    spotify_row(ms_played=4_000, reason_end="fwdbtn", master_metadata_track_name="Talisman"),
    spotify_row(incognito_mode=True),
    spotify_row(ms_played=0),
    spotify_row(**_NAMELESS, episode_name="An episode"),
    spotify_row(**_NAMELESS, audiobook_title="A book"),
    spotify_row(**_NAMELESS),
    spotify_row(ts="yesterday"),
    spotify_row(ms_played="long"),
    ["no object"],
]
SPOTIFY_PLAYS = [
    ("Air", "La Femme d'Argent", START - 200_000),
    ("Air", "Talisman", START - 4_000),
]
SPOTIFY_REFUSED = {
    "repeated": 1, "private-session": 1, "not-heard": 1, "podcast": 1, "audiobook": 1,
    "no-track": 1, "bad-time": 1, "bad-length": 1, "bad-shape": 1,
}  # fmt: skip


def listen(title: str, second: int = START // 1000, **changes: Any) -> dict[str, Any]:
    """Return a listen as ListenBrainz exports it."""
    info = {"submission_client": "navidrome", "submission_client_version": "0.53"}
    metadata = {"artist_name": "Air", "track_name": title, "additional_info": info}
    return {"listened_at": second, "track_metadata": metadata, "user_name": "ada", **changes}


def packed(**members: bytes) -> bytes:
    """Return a zip; double underscores in names are slashes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_json", ".json"), content)
    return buffer.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    """Return a tar.gz of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(
        pa.table(
            {
                "user_id": [7, 7],
                "artist_name": ["Air", None],
                "track_name": ["One", "Two"],
                "ts": pa.array([START // 1000] * 2, pa.timestamp("s", "UTC")),
            }
        ),
        buffer,
    )
    return buffer.getvalue()


def _lines(*rows: Any) -> bytes:
    texts = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    return "".join(f"{text}\n" for text in texts).encode()


_THOUSAND = _lines(
    f"user_000001\t{UTC}\tf1b1cf71\tAir\t\tOne",
    f'user_000002\t{UTC}\t\tSay "Hi\t\tTwo',
    f"user_000002\t{UTC}\tshort",
    f"user_000002\t{UTC}\t\tAir\t\t",
)
_ONE, _TWO = ("Air", "One", START), ("Air", "Two", START)
_TRACK = {"artist": {"#text": "Air", "mbid": ""}, "name": "One", "album": {"#text": "Moon Safari"}}
_DATE = {"date": {"uts": str(START // 1000), "#text": "14 Nov 2023, 22:13"}}
_PLAYING = {**_TRACK, "@attr": {"nowplaying": "true"}}

SAMPLES = [
    Sample(
        "my_spotify_data.zip",
        "spotify",
        packed(
            Spotify__Streaming_History_Audio_2023_1_json=json.dumps(SPOTIFY_ROWS).encode(),
            Spotify__ReadMeFirst=b"%PDF-1.4 \x00 nothing to see",
        ),
        SPOTIFY_PLAYS,
        SPOTIFY_REFUSED,
    ),
    Sample(
        "endsong_0.json",
        "spotify",
        b"\xef\xbb\xbf" + json.dumps(SPOTIFY_ROWS, indent=2).encode(),
        SPOTIFY_PLAYS,
        SPOTIFY_REFUSED,
    ),
    Sample(
        "StreamingHistory_music_0.json",
        "spotify-account",
        json.dumps(
            [
                {
                    "endTime": "2023-11-14 22:13",
                    "artistName": "Air",
                    "trackName": "One",
                    "msPlayed": 60_000,
                },
                {
                    "endTime": "2023-11-14 22:13",
                    "podcastName": "P",
                    "episodeName": "E",
                    "msPlayed": 60_000,
                },
            ],
            indent=1,
        ).encode(),
        [("Air", "One", START - 20_000 - 60_000)],
        {"podcast": 1},
    ),
    Sample(
        "recenttracks-ada.csv",
        "lastfm-csv",
        _lines(
            "uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid",
            f'"{START // 1000}","14 Nov 2023, 22:13","Air","","Moon Safari","","One",""',
            f'"{START // 1000}","14 Nov 2023, 22:13","Air","","","","Two',  # a quote too many
            f'"{START // 1000}","14 Nov 2023, 22:13","Air","","","","Two",""',
            '"","","Air","","","","Playing now",""',
        ),
        [_ONE, _TWO],
        {"bad-columns": 1, "no-time": 1},
    ),
    Sample(
        "scrobbles.csv",
        "lastfm-csv",
        _lines("Artist;Album;AlbumId;Track;Date#ada", f"Air;Moon Safari;1;One;{START}"),
        [_ONE],
    ),
    Sample(
        "ada.csv",
        "lastfm-plain",
        _lines('Air,"Moon Safari",One,"14 Nov 2023 22:13"', "Air,,Two,14 Nov 2023 22:13"),
        [("Air", "One", START - 20_000), ("Air", "Two", START - 20_000)],
    ),
    Sample(
        "recenttracks-ada.json",
        "lastfm-json",
        json.dumps([{"track": [{**_TRACK, **_DATE}, _PLAYING], "@attr": {"page": "1"}}]).encode(),
        [_ONE],
        {"now-playing": 1},
    ),
    Sample(
        "answer.json",
        "lastfm-json",
        json.dumps({"recenttracks": {"track": [_PLAYING, {**_TRACK, **_DATE}]}}).encode(),
        [_ONE],
        {"now-playing": 1},
    ),
    Sample(
        "stats.json",
        "lastfm-json",
        json.dumps(
            {
                "username": "ada",
                "scrobbles": [{"track": "One", "artist": "Air", "album": "", "date": START}],
            }
        ).encode(),
        [_ONE],
    ),
    Sample(
        "listenbrainz_ada.zip",
        "listenbrainz",
        packed(
            **{
                "user_json": b'{"user_id": 1, "username": "ada"}',
                "listens__2023__10.jsonl": _lines(listen("Two"), "{torn", {"track_metadata": {}}),
                "listens__2023__2.jsonl": _lines(listen("One")),
                "feedback.jsonl": _lines({"recording_mbid": None, "score": 1}),
            }
        ),
        [_ONE, _TWO],
        {"bad-json": 1, "no-name": 1},
    ),
    Sample(
        "2023-11.listens",
        "listenbrainz",
        _lines(
            listen("One", listened_at=None, timestamp=START // 1000) | {"recording_msid": "x"},
            listen("Two", user_name="bob"),
        ).replace(b'"listened_at": null, ', b""),
        [_ONE],
        {"other-listener": 1},
    ),
    Sample(
        "listens.json",
        "listenbrainz-json",
        json.dumps({"listen_type": "import", "payload": [listen("One"), 7]}).encode(),
        [_ONE],
        {"bad-shape": 1},
    ),
    Sample(
        "userid-timestamp-artid-artname-traid-traname.tsv",
        "lastfm-1k",
        _THOUSAND,
        [_ONE],
        {"other-listener": 1, "bad-columns": 1, "no-name": 1},
    ),
    Sample(
        "lastfm-dataset-1K.tar.gz",
        "lastfm-1k",
        tarred("lastfm-dataset-1K/userid-timestamp-artid-artname-traid-traname.tsv", _THOUSAND),
        [_ONE],
        {"other-listener": 1, "bad-columns": 1, "no-name": 1},
    ),
    Sample(
        "plays.tsv",
        "csv",
        _lines("when\ttitle\tartist_name\ttimestamp", f"x\tOne\tAir\t{UTC}", f"x\tOne\t\t{UTC}"),
        [_ONE],
        {"no-name": 1},
    ),
    Sample(
        "plays.jsonl",
        "jsonl",
        _lines({"artist": "Air", "title": "One", "played_at": START}, {"artist": "Air"}),
        [_ONE],
        {"bad-columns": 1},
    ),
    Sample("plays.parquet", "parquet", _parquet(), [_ONE], {"no-name": 1}),
]
