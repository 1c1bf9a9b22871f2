"""Messages of the topic ``impressions``: which tracks were shown to which listener, and why.

The API writes one for each list of recommendations, so the message is small and cheap to write and
to read: the ids of the tracks, and one matrix of numbers in binary form. Version 1 held all numbers
as JSON; :func:`decode` reads both.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from contracts.errors import InvalidEvent
from contracts.labels import NO_ARM, of_team
from contracts.messages import check_version, read

VERSION = 2
_FLOAT = np.dtype("<f4")
_FIXED = 2  # score and propensity come before the features


class Impression(msgspec.Struct, kw_only=True):
    """A list that was shown: the value of one message on ``impressions``.

    Attributes
    ----------
    at
        Milliseconds since the epoch, UTC.
    generation, offset
        Generation of the model file that the API read, and the offset up to which the model had
        learned the log.
    tracks
        Public ids in the order shown.
    numbers
        One row per track, 32-bit floats, little-endian, Base64 in JSON. Columns: the score; the
        propensity, which is the probability with which this place showed this track (1 if nothing
        was drawn at random; off-policy estimates divide by it); the feature values from which the
        score was computed.
    arm
        The experiments that changed the list, and their arms (:mod:`contracts.labels`).
    teams
        Only for a list interleaved from two arms: one character per track, ``0`` or ``1``, the arm
        that picked it.

    Examples
    --------
    >>> numbers = pack(np.array([2.0, 1.0], np.float32), np.ones(2, np.float32),
    ...     np.array([[0.5], [0.25]], np.float32))
    >>> shown = Impression(impression_id="00000000-0000-4000-8000-000000000000", user_id="ada",
    ...     at=0, generation=1, offset=7, tracks=["a", "b"], numbers=numbers)
    >>> shown.matrix().tolist()  # score, propensity, features
    [[2.0, 1.0, 0.5], [1.0, 1.0, 0.25]]
    >>> decode(encode(shown)) == shown
    True
    """

    impression_id: str
    user_id: str
    at: int
    generation: int
    offset: int
    tracks: list[str]
    numbers: bytes
    teams: str | msgspec.UnsetType = msgspec.UNSET
    arm: str = NO_ARM
    mode: str = "next"
    degraded: bool = False
    version: int = VERSION

    def matrix(self) -> npt.NDArray[np.float32]:
        """Return ``numbers``, shape ``(tracks, 2 + features)``.

        Raises
        ------
        ValueError
            They do not make a row for each track.
        """
        values = np.frombuffer(self.numbers, _FLOAT)
        if not self.tracks:
            return values.reshape(0, _FIXED)
        rows = values.reshape(len(self.tracks), -1)
        if rows.shape[1] < _FIXED:
            raise ValueError("a track has no score and propensity")
        return rows

    def arms(self) -> list[str]:
        """Return the labels of each place; an empty list has one entry, the labels of the list.

        Examples
        --------
        >>> numbers = pack(np.ones(2, np.float32), np.ones(2, np.float32),
        ...                np.zeros((2, 0), np.float32))
        >>> Impression(impression_id="i", user_id="ada", at=0, generation=1, offset=7,
        ...            tracks=["a", "b"], numbers=numbers, arm="variety=control+varied",
        ...            teams="10").arms()
        ['variety=varied+', 'variety=control+']
        """
        if not self.teams:
            return [self.arm] * max(1, len(self.tracks))
        labels = {team: of_team(self.arm, int(team)) for team in "01"}
        return [labels[team] for team in self.teams]


class Shown(msgspec.Struct, kw_only=True, array_like=True):
    """One track of an impression of version 1."""

    track_id: str
    score: float
    features: list[float]
    propensity: float = 1.0


class ImpressionV1(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An impression as version 1 wrote it.

    Examples
    --------
    >>> found = decode(b'''{"impression_id": "i", "user_id": "ada", "at": 0, "generation": 1,
    ...     "offset": 7, "shown": [["a", 2.0, [0.5, 0.25], 0.5]]}''')
    >>> found.version, found.tracks, found.matrix().tolist()  # score, propensity, features
    (2, ['a'], [[2.0, 0.5, 0.5, 0.25]])
    """

    impression_id: str
    user_id: str
    at: int
    generation: int
    offset: int
    shown: list[Shown]
    arm: str = "default"
    mode: str = "next"
    degraded: bool = False
    version: int = 1


_DECODER = msgspec.json.Decoder(Impression)
_DECODER_V1 = msgspec.json.Decoder(ImpressionV1)
_ENCODER = msgspec.json.Encoder()


def pack(
    scores: npt.NDArray[np.float32],
    propensities: npt.NDArray[np.float32],
    features: npt.NDArray[np.float32],
) -> bytes:
    """Return ``numbers`` of an impression; shapes ``(n,)``, ``(n,)`` and ``(n, F)``.

    Examples
    --------
    >>> one = np.ones(2, np.float32)
    >>> len(pack(one, one, np.zeros((2, 3), np.float32)))
    40
    """
    rows = np.empty((len(scores), _FIXED + features.shape[1]), _FLOAT)
    rows[:, 0], rows[:, 1], rows[:, _FIXED:] = scores, propensities, features
    return rows.tobytes()


def encode(impression: Impression) -> bytes:
    """Return the JSON bytes of an impression."""
    return _ENCODER.encode(impression)


def decode(value: bytes | None) -> Impression:
    """Read one message of ``impressions``, of this version or the one before.

    Raises
    ------
    InvalidEvent
        With a reason fit for counting and for the dead-letter topic.
    """
    try:
        impression = read(_DECODER, value, "an impression")
    except InvalidEvent:
        if b'"shown"' not in (value or b""):
            raise
        return _of_version_1(read(_DECODER_V1, value, "an impression"))
    check_version(impression.version, VERSION)
    try:
        impression.matrix()
    except ValueError:
        detail = f"numbers do not make a row for each of {len(impression.tracks)} tracks"
        raise InvalidEvent("bad-schema", detail) from None
    teams = impression.teams
    if teams and (len(teams) != len(impression.tracks) or teams.strip("01")):
        raise InvalidEvent("bad-schema", "teams is not one 0 or 1 for each track")
    return impression


def _of_version_1(old: ImpressionV1) -> Impression:
    check_version(old.version, 1)
    if len({len(shown.features) for shown in old.shown}) > 1:
        raise InvalidEvent("bad-schema", "the tracks have different numbers of features")
    rows = [(shown.score, shown.propensity, *shown.features) for shown in old.shown]
    fields: dict[str, Any] = {
        name: getattr(old, name)
        for name in ImpressionV1.__struct_fields__
        if name not in ("shown", "version")
    }
    return Impression(
        tracks=[shown.track_id for shown in old.shown],
        numbers=np.array(rows, _FLOAT).tobytes(),
        **fields,
    )
