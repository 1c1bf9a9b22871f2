{#-
    One row a play, joined to its session and to every dimension.

    Incremental by `session_landed_at`: when a late play changes a session, every play of that
    session is written again. So is a session of which an erasure has deleted a play.
-#}
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='event_id',
        on_schema_change='fail',
        post_hook='{{ forget_merged() }}',
    )
}}
-- depends_on: {{ ref('base_segue__merges') }}
-- depends_on: {{ ref('int_compilations') }}
-- depends_on: {{ ref('dim_artists') }}

with sessions as (

    select * from {{ ref('int_plays_sessionized') }}
    {% if is_incremental() %}
        where
            session_landed_at >= {{ look_back('session_landed_at') }}
            or event_id in (
                select event_id
                from {{ this }}
                where session_id in (
                    select session_id
                    from {{ this }}
                    group by session_id
                    having {{ lost_a_play() }}
                )
            )
            -- An album that turns out to be a compilation changes the key of older plays.
            or event_id in (
                select plays.event_id
                from {{ ref('stg_segue__plays') }} as plays
                inner join {{ ref('int_compilations') }} as compilations
                    on {{ folded('plays.album') }} = compilations.album_fold
            )
            -- An album that is no compilation any more, after more plays of its day or an erasure,
            -- left the key of one on older plays.
            or event_id in (
                select event_id
                from {{ this }}
                where album_key in (
                    select {{ album_key("'Various Artists'", 'albums.album') }}
                    from (
                        select distinct album
                        from {{ ref('stg_segue__plays') }}
                        where album is not null and album_artist is null
                    ) as albums
                    left join {{ ref('int_compilations') }} as compilations
                        on {{ folded('albums.album') }} = compilations.album_fold
                    where compilations.album_fold is null
                )
            )
            -- An erasure, or a play that lands late, can change which artist is the first of a name:
            -- the former key of the new first artist is gone,
            or event_id in (
                select written.event_id
                from {{ this }} as written
                left join {{ ref('dim_artists') }} as artists
                    on written.artist_key = artists.artist_key
                where artists.artist_key is null
            )
            -- and the former first artist is a namesake now, but its plays still have the key of the name.
            or event_id in (
                select plays.event_id
                from {{ ref('stg_segue__plays') }} as plays
                inner join {{ ref('int_namesakes') }} as namesakes
                    on plays.artist_mbid = namesakes.artist_mbid
                inner join {{ this }} as written
                    on
                        plays.event_id = written.event_id
                        and {{ artist_key('namesakes.artist_fold') }} = written.artist_key
            )
    {% endif %}

)

select
    plays.event_id,
    plays.user_id,
    plays.track_id,
    {{ song_key('plays.artist', 'plays.title') }} as song_key,
    {{ artist_key('plays.artist', 'namesakes.artist_mbid') }} as artist_key,
    {{ album_key(
        "case when compilations.album_fold is null then coalesce(plays.album_artist, plays.artist)"
        " else coalesce(plays.album_artist, 'Various Artists') end",
        'plays.album',
        "case when compilations.album_fold is null"
        " and coalesce(plays.album_artist, plays.artist) = plays.artist"
        " then namesakes.artist_mbid end"
    ) }} as album_key,
    cast(plays.played_at as date) as played_date,
    plays.played_at,
    plays.received_at,
    plays.ms_played,
    plays.duration_ms,
    cast({{ heard_ms('plays.ms_played', 'plays.duration_ms', 'plays.is_skipped') }} as bigint)
        as heard_ms,
    case
        when plays.ms_played is null or plays.duration_ms is null then null
        when plays.ms_played >= plays.duration_ms then cast(1 as double)
        else cast(plays.ms_played as double) / cast(plays.duration_ms as double)
    end as played_ratio,
    {{ is_counted('plays.ms_played', 'plays.duration_ms', 'plays.is_skipped') }}
    and not {{ is_placeholder('plays.artist', 'plays.title') }} as is_counted,
    {{ was_skipped('plays.ms_played', 'plays.duration_ms', 'plays.is_skipped') }} as is_skipped,
    plays.reason_end,
    plays.source,
    plays.impression_id,
    sessions.session_id,
    sessions.session_position,
    sessions.is_session_start,
    plays.landed_at,
    sessions.session_landed_at
from {{ ref('stg_segue__plays') }} as plays
-- The narrow side second: it is the one held in memory (a third off at ten million plays).
inner join sessions on plays.event_id = sessions.event_id
left join {{ ref('int_compilations') }} as compilations
    on {{ folded('plays.album') }} = compilations.album_fold
{{ join_namesakes('plays') }}
