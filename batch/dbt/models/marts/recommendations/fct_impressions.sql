{#- One row a list shown, whatever came of it. -#}

select
    impression_id,
    user_id,
    cast(min(shown_at) as date) as shown_date,
    min(shown_at) as shown_at,
    cast(min(generation) as bigint) as model_generation,
    cast(min(log_offset) as bigint) as log_offset,
    min(arm) as arm,
    min(mode) as mode,
    cast(max(case when is_degraded then 1 else 0 end) as bigint) = 1 as is_degraded,
    cast(count(track_id) as bigint) as tracks_shown,
    max(landed_at) as landed_at
from {{ ref('stg_segue__impressions') }}
group by impression_id, user_id
