{#- What listeners said of tracks, one row each time. -#}
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
