{#- What the catalogue knows of each artist by folded name; of several spellings the best known. -#}
{{ config(materialized='table') }}

with keyed as (

    select
        {{ artist_key('name') }} as artist_key,
        name,
        artist_id,
        genre,
        tags,
        popularity,
        sources
    from {{ source('raw', 'catalogue_artists') }}
    -- On Snowflake earlier versions of the catalogue lie there too.
    where landed_at = (select max(artists.landed_at) from {{ source('raw', 'catalogue_artists') }} as artists)

)

select *
from keyed
qualify
    row_number() over (
        partition by artist_key order by popularity desc, name asc, artist_id asc
    ) = 1
