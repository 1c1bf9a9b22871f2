{#-
    Artists who share a name with another one, told apart by the MusicBrainz ids that players send.
    The first id that was received with a name keeps the name's own key, and with it the plays that
    came without an id: so no key changes when a namesake turns up. Each later id is here.
-#}

with spelled as (

    select artist, artist_mbid, min(received_at) as first_received_at
    from {{ ref('stg_segue__plays') }}
    where artist_mbid is not null
    group by artist, artist_mbid

),

artists as (

    select
        {{ folded('artist') }} as artist_fold,
        artist_mbid,
        min(first_received_at) as first_received_at
    from spelled
    group by {{ folded('artist') }}, artist_mbid

)

select artist_fold, artist_mbid
from artists
qualify
    row_number() over (
        partition by artist_fold order by first_received_at asc, artist_mbid asc
    ) > 1
