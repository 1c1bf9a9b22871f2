{#- One row a track. Of several spellings the one played most is shown. -#}

with spellings as (

    select
        track_id,
        artist,
        title,
        count(*) as plays,
        max(duration_ms) as duration_ms,
        min(played_at) as first_played_at,
        max(played_at) as last_played_at
    from {{ ref('stg_segue__plays') }}
    group by track_id, artist, title

),

tracks as (

    select
        track_id,
        title,
        artist,
        sum(plays) over (partition by track_id) as plays,
        max(duration_ms) over (partition by track_id) as duration_ms,
        min(first_played_at) over (partition by track_id) as first_played_at,
        max(last_played_at) over (partition by track_id) as last_played_at
    from spellings
    qualify
        row_number() over (
            partition by track_id order by plays desc, last_played_at desc, artist asc, title asc
        ) = 1

)

select
    tracks.track_id,
    cast(tracks.title as varchar) as title,
    cast(tracks.artist as varchar) as artist,
    {{ artist_key('tracks.artist') }} as artist_key,
    {{ song_key('tracks.artist', 'tracks.title') }} as song_key,
    cast(catalogue.genre as varchar) as genre,
    cast(catalogue.release_year as integer) as release_year,
    cast(coalesce(tracks.duration_ms, catalogue.duration_ms) as bigint) as duration_ms,
    cast(tracks.plays as bigint) as plays,
    tracks.first_played_at,
    tracks.last_played_at
from tracks
left join {{ ref('stg_segue__catalogue_tracks') }} as catalogue
    on {{ song_key('tracks.artist', 'tracks.title') }} = catalogue.song_key
union all
select
    {{ unknown() }},
    'Unknown',
    'Unknown',
    {{ unknown() }},
    {{ unknown() }},
    cast(null as varchar),
    cast(null as integer),
    cast(null as bigint),
    cast(0 as bigint),
    cast(null as timestamp),
    cast(null as timestamp)
