{# Point-in-time joins on dim_listeners neither lose nor double a play: as many rows as plays, and
   no play without a version. (Counting by play would group ten million ids for the same answer.) #}
with joined as (
    select versions.listener_key
    from {{ ref('fct_plays') }} as plays
    left join {{ ref('dim_listeners') }} as versions
        on
            plays.user_id = versions.user_id
            and plays.played_at >= versions.valid_from
            and (plays.played_at < versions.valid_to or versions.valid_to is null)
),

counted as (
    select
        (select count(*) from joined) as versions,
        (select count(*) from joined where listener_key is null) as without_version,
        (select count(*) from {{ ref('fct_plays') }}) as plays
)

select *
from counted
where versions <> plays or without_version > 0
