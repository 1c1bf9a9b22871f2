{#- Sessions as the Flink job counted them. On DuckDB alone: Snowflake does not land results. -#}
{{ config(enabled=target.type == 'duckdb') }}

with landed as (

    select
        user_id,
        {{ utc('started_at') }} as started_at,
        {{ utc('last_played_at') }} as last_played_at,
        plays,
        tracks,
        run,
        kafka_offset,
        {{ utc('landed_at') }} as landed_at
    from {{ source('raw', 'sessions') }}

)

select
    user_id,
    started_at,
    last_played_at,
    plays,
    tracks,
    run,
    landed_at
from landed
qualify
    {{ newest_run('started_at', ['user_id', 'started_at']) }}
