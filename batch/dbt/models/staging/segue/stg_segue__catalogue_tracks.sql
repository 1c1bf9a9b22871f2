{#- What the catalogue knows of each song by folded names; of several rows the best known. -#}
{{ config(materialized='table') }}

with keyed as (

    select
        {{ song_key('artist', 'title') }} as song_key,
        -- As lists name it: contracts/ids.py, track_id.
        coalesce(
            recording_mbid, 'isrc:' || isrc, 'spotify:track:' || spotify_id, track_id
        ) as public_id,
        track_id,
        album,
        genre,
        year as release_year,
        duration_ms,
        popularity,
        danceability,
        energy,
        acousticness,
        instrumentalness,
        valence
    from {{ source('raw', 'catalogue_tracks') }}
    -- On Snowflake earlier versions of the catalogue lie there too.
    where landed_at = (select max(tracks.landed_at) from {{ source('raw', 'catalogue_tracks') }} as tracks)

)

select *
from keyed
qualify row_number() over (partition by song_key order by popularity desc, track_id asc) = 1
