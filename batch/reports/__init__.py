"""Reports: drawn from the warehouse by the nightly, published as files, read by people and the API.

Examples
--------
>>> sorted(KINDS)
['data-quality', 'listening-activity', 'top-artists', 'weekly-listening']
"""

from __future__ import annotations

from batch.reports import data_quality, listening_activity, top_artists, weekly_listening
from batch.reports.report import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        top_artists.KIND,
        listening_activity.KIND,
        weekly_listening.KIND,
        data_quality.KIND,
    )
}
