{#- Deliveries that break a rule, with every rule they break: nothing is dropped silently. -#}
{{ config(materialized='table') }}

select
    log_id || ':' || kafka_partition || ':' || kafka_offset || ':' || position as delivery_id,
    {{ broken_rules(play_rules()) }} as reject_reasons,
    event_id,
    user_id,
    track_id,
    artist,
    title,
    played_at,
    received_at,
    ms_played,
    duration_ms,
    source,
    landed_at
from {{ ref('base_segue__plays') }}
where not is_accepted
