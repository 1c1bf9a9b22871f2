{#- One row an artist, known by folded name. Of several spellings the one played most is shown. -#}

with spellings as (

    select
        artist,
        count(*) as plays,
        min(played_at) as first_played_at,
        max(played_at) as last_played_at
    from {{ ref('stg_segue__plays') }}
    group by artist

),

keyed as (

    select {{ artist_key('artist') }} as artist_key, *
    from spellings

),

artists as (

    select
        artist_key,
        artist,
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
    cast(null as varchar),
    cast(0 as bigint),
    cast(null as timestamp),
    cast(null as timestamp)
