{#-
    One row a session. Rebuilt as a whole: a late play can join two sessions, and then one of them
    must go.
-#}

select
    session_id,
    user_id,
    cast(min(played_at) as date) as session_date,
    min(played_at) as started_at,
    max(played_at) as last_played_at,
    cast(count(*) as bigint) as plays,
    cast(count(distinct track_id) as bigint) as tracks,
    cast(coalesce(sum(ms_played), 0) as bigint) as ms_played,
    cast(count(case when is_skipped then 1 end) as bigint) as skips
from {{ ref('fct_plays') }}
group by session_id, user_id
