"""Schemas for the OpenAPI document of answers that endpoints build as plain dictionaries.

A schema lists the fields that every answer has. Answers may have more: clients of the
ListenBrainz API ignore unknown fields.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Done(msgspec.Struct):
    """The request was carried out; ``status`` is ``ok``."""

    status: str


class Payload(msgspec.Struct):
    """A part of ListenBrainz's statistics or recommendations, as its documentation describes it."""

    payload: dict[str, Any]


class SaidOfRecordings(msgspec.Struct):
    """A listener's feedback: one entry for each recording of the request."""

    feedback: list[dict[str, Any]]


class Rating(msgspec.Struct):
    """A listener's rating of a recommended recording.

    ``rating`` is one of ListenBrainz's words, such as ``love``; ``created`` is in seconds since the
    epoch, UTC.
    """

    recording_mbid: str
    rating: str
    created: int


class Ratings(msgspec.Struct):
    """Ratings of the recordings of the request."""

    feedback: list[Rating] = msgspec.field(name="recommendation-feedback")
    user_name: str


class RatingsPage(Ratings):
    """A page of ratings, latest first."""

    count: int
    total_count: int
    offset: int


class ImportedUntil(msgspec.Struct):
    """How far an importer has imported a listener's listens.

    ``latest_import`` is the start of the newest imported listen in seconds since the epoch, UTC; 0
    before the first import.
    """

    musicbrainz_id: str
    latest_import: int
    status: None
    error: None


class PlaylistPage(msgspec.Struct):
    """Playlists in JSPF."""

    count: int
    offset: int
    playlist_count: int
    playlists: list[dict[str, Any]]


class PlaylistOut(msgspec.Struct):
    """One playlist in JSPF."""

    playlist: dict[str, Any]


class Following(msgspec.Struct):
    """Nobody follows anybody here: the list is empty."""

    following: list[str]
    user: str


class Followers(msgspec.Struct):
    """Nobody follows anybody here: the list is empty."""

    followers: list[str]
    user: str


class SimilarUsers(msgspec.Struct):
    """Listeners are not compared with one another: the list is empty."""

    payload: list[dict[str, Any]]


_STATS, _RATED = "/1/stats/user/{user}", "/1/recommendation/feedback"
_OF_RECORDINGS = "/1/feedback/user/{user}/get-feedback-for-recordings"
_PLAYLISTS = "/1/user/{user}/playlists"
#: Method and path -> shape of the answer with status 200.
ANSWERS: dict[str, type[msgspec.Struct]] = {
    f"GET {_STATS}/listening-activity": Payload,
    f"GET {_STATS}/daily-activity": Payload,
    f"GET {_STATS}/{{entity}}": Payload,
    "GET /1/cf/recommendation/user/{user}/recording": Payload,
    f"GET {_PLAYLISTS}": PlaylistPage,
    f"GET {_PLAYLISTS}/createdfor": PlaylistPage,
    f"GET {_PLAYLISTS}/recommendations": PlaylistPage,
    f"GET {_PLAYLISTS}/collaborator": PlaylistPage,
    f"GET {_PLAYLISTS}/search": PlaylistPage,
    "GET /1/playlist/{playlist_id}": PlaylistOut,
    "GET /1/user/{user}/following": Following,
    "GET /1/user/{user}/followers": Followers,
    "GET /1/user/{user}/similar-users": SimilarUsers,
    "POST /1/pin/unpin": Done,
    "POST /1/pin/delete/{row_id}": Done,
    "POST /1/feedback/recording-feedback": Done,
    f"GET {_OF_RECORDINGS}": SaidOfRecordings,
    f"POST {_OF_RECORDINGS}": SaidOfRecordings,
    f"POST {_RATED}/submit": Done,
    f"POST {_RATED}/delete": Done,
    f"GET {_RATED}/user/{{user}}": RatingsPage,
    f"GET {_RATED}/user/{{user}}/recordings": Ratings,
    "GET /1/latest-import": ImportedUntil,
    "POST /1/latest-import": Done,
    "POST /1/delete-listen": Done,
}
