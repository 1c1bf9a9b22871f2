{#- Tracks shown that break a rule, with every rule they break. -#}
{{ config(materialized='table') }}

select
    log_id || ':' || kafka_partition || ':' || kafka_offset || ':' || position as delivery_id,
    reject_reasons,
    impression_id,
    user_id,
    shown_at,
    position,
    track_id,
    propensity,
    landed_at
from {{ ref('base_segue__impressions') }}
where reject_reasons <> ''
