"""Reports: drawn from the warehouse by the nightly, published as files, read by people and the API.

Examples
--------
>>> KINDS["weekly-listening"].name
'weekly-listening'
"""

from __future__ import annotations

from batch.reports import (
    data_quality,
    experiments,
    listening_activity,
    pipeline_health,
    recommendation_effectiveness,
    top_artists,
    weekly_listening,
)
from batch.reports.report import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        top_artists.KIND,
        listening_activity.KIND,
        weekly_listening.KIND,
        recommendation_effectiveness.KIND,
        experiments.KIND,
        data_quality.KIND,
        pipeline_health.KIND,
    )
}
