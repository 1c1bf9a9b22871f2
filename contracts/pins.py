"""Pins: the one recording that a listener shows at a time, and earlier ones.

The API calls functions of PostgreSQL (``infra/postgres/0099_pins.sql``) and reads a view.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

#: Replaces the current pin; returns the id and the creation time of the new one.
#: Parameters ``user``, ``mbid``, ``artist``, ``title``, ``blurb`` and ``until`` (seconds).
PIN = """
    select * from pin_recording(
        %(user)s, %(mbid)s, %(artist)s, %(title)s, %(blurb)s, to_timestamp(%(until)s))
"""
#: Ends the current pin; returns the number of ended pins.
UNPIN = "select unpin_recording(%(user)s)"
#: Deletes the pin ``row``; returns the number of deleted pins.
DELETE = "select delete_pin(%(user)s, %(row)s)"


class Pin(msgspec.Struct, kw_only=True):
    """View ``pins_v1``: a pinned recording; ``pinned_until`` of an ended pin is in the past."""

    user_id: str
    row_id: int
    recording_mbid: UUID | None
    artist: str
    title: str
    blurb: str | None
    created_at: datetime
    pinned_until: datetime
