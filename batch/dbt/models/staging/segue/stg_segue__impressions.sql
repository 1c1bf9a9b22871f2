{#-
    One row a place of a list shown; a list that showed nothing has one row with position -1. A list
    is logged once, so of a repeated delivery the first in the log is kept.
-#}
{{ config(materialized='table') }}

select
    impression_id,
    user_id,
    shown_at,
    generation,
    log_offset,
    arm,
    mode,
    is_degraded,
    position,
    track_id,
    score,
    propensity,
    landed_at
from {{ ref('base_segue__impressions') }}
where reject_reasons = ''
qualify
    row_number() over (
        partition by impression_id, position
        order by landed_at, log_id, kafka_partition, kafka_offset
    ) = 1
