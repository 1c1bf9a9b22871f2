{#- Listeners of a track in an hour as the Flink job counted them. On DuckDB alone. -#}
{{ config(enabled=target.type == 'duckdb') }}

with landed as (

    select
        {{ utc('hour') }} as hour_start,
        track_id,
        listeners,
        plays,
        run,
        kafka_offset,
        {{ utc('landed_at') }} as landed_at
    from {{ source('raw', 'uniques') }}

)

select
    hour_start,
    track_id,
    listeners,
    plays,
    run,
    landed_at
from landed
qualify
    {{ newest_run('hour_start', ['hour_start', 'track_id']) }}
