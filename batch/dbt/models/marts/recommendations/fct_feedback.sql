{#- What listeners said of tracks; the latest word on a song is the one in force. -#}

with keyed as (

    select
        *,
        {{ song_key('artist', 'title') }} as song_key
    from {{ ref('stg_segue__feedback') }}
    where kind <> 'erase'

)

select
    feedback_id,
    user_id,
    song_key,
    {{ artist_key('artist') }} as artist_key,
    track_id,
    kind,
    given_at,
    source,
    kind <> 'undo'
    and row_number() over (
        partition by user_id, song_key order by given_at desc, kafka_offset desc
    ) = 1 as is_in_force,
    landed_at
from keyed
