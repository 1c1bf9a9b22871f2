{#-
    One row an album as `fct_plays` keys it; the spelling played most is shown. A compilation is one
    album of various artists.
-#}

with spellings as (

    select
        facts.album_key,
        plays.album,
        coalesce(plays.album_artist, plays.artist) as artist,
        case
            when coalesce(plays.album_artist, plays.artist) = plays.artist then facts.artist_key
            else {{ artist_key('plays.album_artist') }}
        end as artist_key,
        count(*) as plays,
        max(plays.played_at) as last_played_at
    from {{ ref('stg_segue__plays') }} as plays
    inner join {{ ref('fct_plays') }} as facts on plays.event_id = facts.event_id
    where facts.album_key <> {{ unknown() }}
    group by all

),

albums as (

    select
        album_key,
        album,
        artist,
        artist_key,
        sum(plays) over (partition by album_key) as plays,
        album_key
        = {{ album_key("'Various Artists'", 'album') }} as is_compilation
    from spellings
    qualify
        row_number() over (
            partition by album_key order by plays desc, last_played_at desc, artist asc, album asc
        ) = 1

)

select
    cast(albums.album_key as varchar) as album_key,
    albums.album,
    case when albums.is_compilation then 'Various Artists' else albums.artist end as artist,
    coalesce(artists.artist_key, {{ unknown() }}) as artist_key,
    cast(albums.plays as bigint) as plays
from albums
left join {{ ref('dim_artists') }} as artists
    on
        not albums.is_compilation
        and albums.artist_key = artists.artist_key
union all
select {{ unknown() }}, 'Unknown', 'Unknown', {{ unknown() }}, cast(0 as bigint)
