{#-
    What listeners said of tracks, one row each time. A log that was copied into a new namespace
    delivers it again, in the same millisecond and with the same names: the first delivery is kept.
-#}
{{ config(materialized='table') }}

select
    feedback_id,
    user_id,
    kind,
    given_at,
    track_id,
    artist,
    title,
    source,
    kafka_offset,
    landed_at
from {{ ref('base_segue__feedback') }}
where reject_reasons = ''
qualify
    row_number() over (
        partition by user_id, kind, given_at, track_id, artist, title, source
        order by landed_at, feedback_id
    ) = 1
