{#- Listeners of a track in an hour as the Flink job counted them; repeats as for sessions. -#}
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

),

runs as (

    select cast(hour_start as date) as day_start, max(run) as newest_run
    from landed
    group by cast(hour_start as date)

)

select
    landed.hour_start,
    landed.track_id,
    landed.listeners,
    landed.plays,
    landed.run,
    landed.landed_at
from landed
inner join runs
    on cast(landed.hour_start as date) = runs.day_start and landed.run = runs.newest_run
qualify
    row_number() over (
        partition by landed.hour_start, landed.track_id
        order by landed.landed_at desc, landed.kafka_offset desc
    ) = 1
