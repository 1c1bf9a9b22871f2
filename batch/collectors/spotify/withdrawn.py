"""What Spotify has taken away, so that nobody writes code against it again.

Sources: Spotify's announcements of 2024-11-27 (for new apps) and of February 2026 (development
mode: from 11 February for new, from 9 March for existing apps).
"""

from __future__ import annotations

import re

from contracts.errors import ConfigurationError

_2024 = "withdrawn for new apps on 2024-11-27"
_2026 = "withdrawn in development mode in February 2026"
#: ``(path pattern, what it was, when, what to use)``
_GONE = (
    (r"/v1/artists/[^/]+/related-artists", "related artists", _2024, "lastfm artist.getSimilar"),
    (r"/v1/recommendations.*", "recommendations", _2024, "Segue's own"),
    (r"/v1/audio-features.*", "audio features", _2024, "collect kaggle-tracks"),
    (r"/v1/audio-analysis.*", "audio analysis", _2024, "nothing; it has no substitute"),
    (r"/v1/browse/featured-playlists", "featured playlists", _2024, "lastfm charts"),
    (r"/v1/browse/categories.*", "category playlists", _2024, "lastfm tag.getTopArtists"),
    (r"/v1/(artists|albums|tracks)/?", "look-ups of many at once", _2026, "one look-up each"),
    (r"/v1/artists/[^/]+/top-tracks", "top tracks", _2026, "lastfm charts"),
    (r"/v1/browse/new-releases", "new releases", _2026, "nothing; it has no substitute"),
    (r"/v1/users/[^/]+/playlists", "other users' playlists", _2026, "nothing"),
)


def check(path: str) -> None:
    """Let a path pass that is still served.

    Raises
    ------
    ConfigurationError
        It was withdrawn; the message states when, and what to use instead.
    """
    for pattern, what, when, instead in _GONE:
        if re.fullmatch(pattern, path):
            raise ConfigurationError(f"Spotify: {what} ({path}) was {when}; use: {instead}")
