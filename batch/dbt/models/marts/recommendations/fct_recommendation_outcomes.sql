{#-
    What became of each track shown. It is a hit when the listener plays the song within
    `outcome_window_minutes` of the list, or whenever the play names the list. A play counts for one
    list only: the one it names, else the latest that showed the song. Songs are compared by name,
    since one scrobbler sends a public id and another does not; of a track nobody has played under
    the id it was shown with, the catalogue knows the names.

    Rebuilt as a whole: a late play can change whose hit it is.
-#}

with catalogue as (

    select public_id as track_id, min(song_key) as song_key
    from {{ ref('stg_segue__catalogue_tracks') }}
    group by public_id

),

tracks as (

    -- An id under which two songs were played is the one's that was played more.
    select track_id, song_key
    from {{ ref('fct_plays') }}
    group by track_id, song_key
    qualify row_number() over (partition by track_id order by count(*) desc, song_key asc) = 1

),

shown as (

    select impressions.*, coalesce(tracks.song_key, catalogue.song_key) as song_key
    from {{ ref('stg_segue__impressions') }} as impressions
    left join tracks on impressions.track_id = tracks.track_id
    left join catalogue on impressions.track_id = catalogue.track_id
    where impressions.position >= 0

),

plays as (

    select
        fct_plays.event_id,
        fct_plays.user_id,
        fct_plays.played_at,
        fct_plays.impression_id,
        fct_plays.is_skipped,
        fct_plays.song_key
    from {{ ref('fct_plays') }} as fct_plays
    where fct_plays.user_id in (select shown.user_id from shown)

),

attributed as (

    select
        plays.event_id,
        plays.played_at,
        plays.is_skipped,
        shown.impression_id,
        shown.position,
        coalesce(plays.impression_id = shown.impression_id, false) as is_named
    from plays
    inner join shown
        on
            plays.user_id = shown.user_id
            and plays.song_key = shown.song_key
            and (
                plays.impression_id = shown.impression_id
                or (
                    plays.played_at >= shown.shown_at
                    and plays.played_at
                    < {{ dbt.dateadd('minute', var('outcome_window_minutes'), 'shown.shown_at') }}
                )
            )
    qualify
        row_number() over (
            partition by plays.event_id
            order by
                coalesce(plays.impression_id = shown.impression_id, false) desc,
                shown.shown_at desc,
                shown.impression_id asc,
                shown.position asc
        ) = 1

),

first_plays as (

    select *
    from attributed
    qualify
        row_number() over (partition by impression_id, position order by played_at, event_id) = 1

)

select
    shown.impression_id,
    shown.position,
    shown.user_id,
    cast(shown.shown_at as date) as shown_date,
    shown.shown_at,
    cast(shown.generation as bigint) as model_generation,
    shown.arm,
    shown.mode,
    shown.track_id,
    cast(shown.score as double) as score,
    cast(shown.propensity as double) as propensity,
    first_plays.event_id is not null as is_hit,
    coalesce(first_plays.is_named, false) as is_named,
    first_plays.event_id,
    first_plays.played_at,
    cast(
        {{ dbt.datediff('shown.shown_at', 'first_plays.played_at', 'second') }} as bigint
    ) as seconds_to_play,
    first_plays.is_skipped,
    cast(1 as double) / cast(shown.propensity as double) as inverse_propensity
from shown
left join first_plays
    on
        shown.impression_id = first_plays.impression_id
        and shown.position = first_plays.position
