{#-
    The hundred leading songs of each day, by the rule of the trending lists: a listener counts for
    at most three plays of a song. Lists of the past are kept nowhere else.
-#}

with heard as (

    select played_date, song_key, user_id, count(*) as plays
    from {{ ref('fct_plays') }}
    group by played_date, song_key, user_id

),

counted as (

    select
        played_date,
        song_key,
        cast(count(*) as bigint) as listeners,
        cast(sum(plays) as bigint) as plays,
        cast(sum(least(plays, 3)) as bigint) as weight
    from heard
    group by played_date, song_key

)

select
    played_date,
    cast(row_number() over (
        partition by played_date
        order by weight desc, listeners desc, song_key asc
    ) as bigint) as place,
    song_key,
    listeners,
    plays,
    weight
from counted
qualify
    row_number() over (
        partition by played_date
        order by weight desc, listeners desc, song_key asc
    ) <= 100
