{# Incremental models read by landing time: should they ever miss a play, this says so. #}
with counted as (
    select
        (
            select count(distinct play_id) from {{ ref('base_segue__told') }}
        ) as accepted,
        (select count(*) from {{ ref('stg_segue__plays') }}) as staged,
        (select count(*) from {{ ref('fct_plays') }}) as in_marts,
        (select sum(plays) from {{ ref('fct_sessions') }}) as in_sessions
)

select *
from counted
where accepted <> staged or staged <> in_marts or in_marts <> in_sessions
