{#-
    Sessions as the Flink job counted them. The job may publish one twice, so the newest row of a
    listener and start counts; for a day that a batch run has counted, only the rows of the newest
    run do. On DuckDB alone: Snowflake does not land results.
-#}
{{ config(enabled=target.type == 'duckdb') }}

with landed as (

    select
        user_id,
        {{ utc('started_at') }} as started_at,
        {{ utc('last_played_at') }} as last_played_at,
        plays,
        tracks,
        run,
        kafka_partition,
        kafka_offset,
        {{ utc('landed_at') }} as landed_at
    from {{ source('raw', 'sessions') }}

),

runs as (

    select cast(started_at as date) as session_date, max(run) as newest_run
    from landed
    group by cast(started_at as date)

)

select
    landed.user_id,
    landed.started_at,
    landed.last_played_at,
    landed.plays,
    landed.tracks,
    landed.run,
    landed.landed_at
from landed
inner join runs
    on cast(landed.started_at as date) = runs.session_date and landed.run = runs.newest_run
qualify
    row_number() over (
        partition by landed.user_id, landed.started_at
        order by landed.landed_at desc, landed.kafka_offset desc
    ) = 1
