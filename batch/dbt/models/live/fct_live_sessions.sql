{#-
    Sessions as the Flink job counted them by event time; `fct_sessions` counts the same at night from
    all plays. Empty where Flink does not run; on DuckDB alone.
-#}
{{ config(enabled=target.type == 'duckdb') }}

select
    user_id,
    cast(started_at as date) as session_date,
    started_at,
    last_played_at,
    plays,
    tracks,
    run > 0 as is_recounted
from {{ ref('stg_segue__flink_sessions') }}
