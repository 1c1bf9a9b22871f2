{#-
    One row a song by folded names, whatever public ids its plays carry; the spelling played most is
    shown. `track_id` is the best known of its ids (contracts/ids.py: MBID, ISRC, Spotify, names).
-#}

with spellings as (

    select
        {{ song_key('spelled.artist', 'spelled.title') }} as song_key,
        {{ artist_key('spelled.artist', 'namesakes.artist_mbid') }} as artist_key,
        spelled.*
    from (
        select
            track_id,
            artist,
            artist_mbid,
            title,
            count(*) as plays,
            max({{ known_length() }}) as duration_ms,
            min(played_at) as first_played_at,
            max(played_at) as last_played_at
        from {{ ref('stg_segue__plays') }}
        group by track_id, artist, artist_mbid, title
    ) as spelled
    {{ join_namesakes('spelled') }}

),

tracks as (

    select
        song_key,
        title,
        artist,
        artist_key,
        first_value(track_id) over (
            partition by song_key
            order by
                case
                    when track_id like 'spotify:%' then 2
                    when track_id like 'isrc:%' then 1
                    -- Ids made of names are UUIDs of version 5.
                    when substr(track_id, 15, 1) = '5' then 3
                    else 0
                end asc,
                plays desc, track_id asc
            rows between unbounded preceding and unbounded following
        ) as track_id,
        sum(plays) over (partition by song_key) as plays,
        max(duration_ms) over (partition by song_key) as duration_ms,
        min(first_played_at) over (partition by song_key) as first_played_at,
        max(last_played_at) over (partition by song_key) as last_played_at
    from spellings
    qualify
        row_number() over (
            partition by song_key order by plays desc, last_played_at desc, artist asc, title asc
        ) = 1

)

select
    cast(tracks.song_key as varchar) as song_key,
    tracks.track_id,
    cast(tracks.title as varchar) as title,
    cast(tracks.artist as varchar) as artist,
    tracks.artist_key,
    cast(catalogue.genre as varchar) as genre,
    cast(catalogue.release_year as integer) as release_year,
    cast(coalesce(tracks.duration_ms, catalogue.duration_ms) as bigint) as duration_ms,
    cast(tracks.plays as bigint) as plays,
    tracks.first_played_at,
    tracks.last_played_at
from tracks
left join {{ ref('stg_segue__catalogue_tracks') }} as catalogue
    on tracks.song_key = catalogue.song_key
union all
select
    {{ unknown() }},
    {{ unknown() }},
    'Unknown',
    'Unknown',
    {{ unknown() }},
    cast(null as varchar),
    cast(null as integer),
    cast(null as bigint),
    cast(0 as bigint),
    cast(null as timestamp),
    cast(null as timestamp)
