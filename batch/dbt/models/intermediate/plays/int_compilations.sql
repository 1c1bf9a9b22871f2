{#-
    Names of albums that hold songs of many artists. Players name the artist of the track, so a
    compilation would be as many albums as it has artists. An album is one if somebody heard at least
    three artists of it on one day, hardly any of them twice. "Greatest Hits" and the like are names
    of many albums, never one.
-#}

with spelled as (

    select user_id, cast(played_at as date) as played_date, album, artist, title
    from {{ ref('stg_segue__plays') }}
    where album is not null and album_artist is null
    group by user_id, cast(played_at as date), album, artist, title

),

folded_names as (

    select
        user_id,
        played_date,
        {{ folded('album') }} as album_fold,
        {{ without_guests(folded('artist')) }} as artist_fold,
        {{ folded('title') }} as title_fold
    from spelled

)

select distinct album_fold
from (
    select album_fold
    from folded_names
    where not {{ is_common_album('album_fold') }}
    group by user_id, played_date, album_fold
    having
        count(distinct artist_fold) >= 3
        and count(distinct artist_fold || '|' || title_fold) <= 1.5 * count(distinct artist_fold)
) as heard_by_somebody
