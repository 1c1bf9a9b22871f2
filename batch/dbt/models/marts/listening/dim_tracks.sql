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
            partition by track_id order by plays desc, last_played_at desc, artist, title
        ) = 1

)

select
    track_id,
    cast(title as varchar) as title,
    cast(artist as varchar) as artist,
    {{ artist_key('artist') }} as artist_key,
    {{ song_key('artist', 'title') }} as song_key,
    cast(duration_ms as bigint) as duration_ms,
    cast(plays as bigint) as plays,
    first_played_at,
    last_played_at
from tracks
union all
select
    {{ unknown() }},
    'Unknown',
    'Unknown',
    {{ unknown() }},
    {{ unknown() }},
    cast(null as bigint),
    cast(0 as bigint),
    cast(null as timestamp),
    cast(null as timestamp)
