{#- One row an album of an artist, known by folded names; the most played spelling is shown. -#}

with spellings as (

    select artist, album, count(*) as plays, max(played_at) as last_played_at
    from {{ ref('stg_segue__plays') }}
    where album is not null
    group by artist, album

),

keyed as (

    select {{ album_key('artist', 'album') }} as album_key, *
    from spellings

),

albums as (

    select
        album_key,
        album,
        artist,
        sum(plays) over (partition by album_key) as plays
    from keyed
    qualify
        row_number() over (
            partition by album_key order by plays desc, last_played_at desc, artist asc, album asc
        ) = 1

)

select
    cast(album_key as varchar) as album_key,
    album,
    artist,
    {{ artist_key('artist') }} as artist_key,
    cast(plays as bigint) as plays
from albums
union all
select {{ unknown() }}, 'Unknown', 'Unknown', {{ unknown() }}, cast(0 as bigint)
