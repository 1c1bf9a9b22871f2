"""Reports: drawn from the warehouse by the nightly, published as files, read by people and the API.

Examples
--------
>>> sorted(KINDS)
['listening-activity', 'top-artists']
"""

from __future__ import annotations

from batch.reports import listening_activity, top_artists
from batch.reports.report import Kind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (top_artists.KIND, listening_activity.KIND)}
