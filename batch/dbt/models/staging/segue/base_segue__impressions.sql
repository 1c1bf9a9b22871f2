{#- Every track shown, as delivered: typed, with every rule it breaks. -#}

with typed as (

    select
        impression_id,
        user_id,
        {{ utc('shown_at') }} as shown_at,
        generation,
        log_offset,
        arm,
        mode,
        cast(degraded as boolean) as is_degraded,
        cast(position as bigint) as position,
        track_id,
        score,
        propensity,
        log_id,
        kafka_partition,
        kafka_offset,
        {{ utc('landed_at') }} as landed_at
    from {{ source('raw', 'impressions') }}

)

select
    *,
    {{ broken_rules(impression_rules()) }} as reject_reasons
from typed
