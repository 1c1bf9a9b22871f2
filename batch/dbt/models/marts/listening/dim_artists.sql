{#-
    One row an artist: a folded name, or a namesake by its MusicBrainz id. Of several spellings the
    one played most is shown.
-#}

with spellings as (

    select
        artist,
        artist_mbid,
        count(*) as plays,
        min(played_at) as first_played_at,
        max(played_at) as last_played_at
    from {{ ref('stg_segue__plays') }}
    group by artist, artist_mbid

),

keyed as (

    select
        {{ artist_key('spellings.artist', 'namesakes.artist_mbid') }} as artist_key,
        namesakes.artist_mbid is not null as is_namesake,
        spellings.*
    from spellings
    {{ join_namesakes('spellings') }}

),

artists as (

    select
        artist_key,
        artist,
        is_namesake,
        max(artist_mbid) over (partition by artist_key) as artist_mbid,
        sum(plays) over (partition by artist_key) as plays,
        min(first_played_at) over (partition by artist_key) as first_played_at,
        max(last_played_at) over (partition by artist_key) as last_played_at
    from keyed
    qualify
        row_number() over (
            partition by artist_key order by plays desc, last_played_at desc, artist asc
        ) = 1

)

select
    artists.artist_key,
    cast(artists.artist as varchar) as artist,
    cast(artists.artist_mbid as varchar) as artist_mbid,
    case
        when artists.is_namesake
            then artists.artist || ' (MusicBrainz ' || substr(artists.artist_mbid, 1, 8) || ')'
        else artists.artist
    end as label,
    cast(catalogue.genre as varchar) as genre,
    cast(catalogue.tags as varchar) as tags,
    cast(artists.plays as bigint) as plays,
    artists.first_played_at,
    artists.last_played_at
from artists
left join {{ ref('stg_segue__catalogue_artists') }} as catalogue
    on artists.artist_key = catalogue.artist_key
union all
select
    {{ unknown() }},
    'Unknown',
    cast(null as varchar),
    'Unknown',
    cast(null as varchar),
    cast(null as varchar),
    cast(0 as bigint),
    cast(null as timestamp),
    cast(null as timestamp)
