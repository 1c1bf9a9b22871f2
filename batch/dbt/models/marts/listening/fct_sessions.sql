{#-
    One row a session. Rebuilt as a whole: a late play can join two sessions, and then one of them
    must go. Grouped in two steps, since counting distinct tracks in one takes twice the time.
-#}

with tracks as (

    select
        session_id,
        user_id,
        song_key,
        min(played_at) as started_at,
        max(played_at) as last_played_at,
        count(*) as plays,
        sum(heard_ms) as ms_played,
        count(case when is_skipped then 1 end) as skips
    from {{ ref('fct_plays') }}
    group by session_id, user_id, song_key

)

select
    session_id,
    user_id,
    cast(min(started_at) as date) as session_date,
    min(started_at) as started_at,
    max(last_played_at) as last_played_at,
    cast(sum(plays) as bigint) as plays,
    cast(count(*) as bigint) as tracks,
    cast(coalesce(sum(ms_played), 0) as bigint) as ms_played,
    cast(sum(skips) as bigint) as skips
from tracks
group by session_id, user_id
