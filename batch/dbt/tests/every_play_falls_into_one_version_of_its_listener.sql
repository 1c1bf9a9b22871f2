{# Point-in-time joins on dim_listeners neither lose nor double a play. #}
select plays.event_id, count(versions.listener_key) as versions
from {{ ref('fct_plays') }} as plays
left join {{ ref('dim_listeners') }} as versions
    on
        plays.user_id = versions.user_id
        and plays.played_at >= versions.valid_from
        and (plays.played_at < versions.valid_to or versions.valid_to is null)
group by plays.event_id
having count(versions.listener_key) <> 1
