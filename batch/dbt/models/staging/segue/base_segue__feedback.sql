{#- Every word of feedback, as delivered: typed, with every rule it breaks. -#}

with typed as (

    select
        log_id || ':' || kafka_partition || ':' || kafka_offset as feedback_id,
        user_id,
        kind,
        {{ utc('given_at') }} as given_at,
        nullif(trim(track_id), '') as track_id,
        artist,
        title,
        source,
        kafka_offset,
        {{ utc('landed_at') }} as landed_at
    from {{ source('raw', 'feedback') }}

)

select
    *,
    {{ broken_rules(feedback_rules()) }} as reject_reasons
from typed
