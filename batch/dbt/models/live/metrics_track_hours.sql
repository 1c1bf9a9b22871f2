{#-
    How many different listeners a track had in each hour, as the Flink job counted them; empty where
    Flink does not run. On DuckDB alone: Snowflake does not land results.
-#}
{{ config(enabled=target.type == 'duckdb') }}

with names as (

    select track_id, min(song_key) as song_key
    from {{ ref('fct_plays') }}
    group by track_id

)

select
    uniques.hour_start,
    uniques.track_id,
    coalesce(names.song_key, '-1') as song_key,
    uniques.listeners,
    uniques.plays,
    uniques.run > 0 as is_recounted
from {{ ref('stg_segue__flink_uniques') }} as uniques
left join names on uniques.track_id = names.track_id
