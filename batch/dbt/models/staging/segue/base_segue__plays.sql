{#- Every delivery, typed, and whether it keeps every rule. -#}

select
    event_id,
    user_id,
    track_id,
    artist,
    title,
    nullif(trim(album), '') as album,
    {{ utc('played_at') }} as played_at,
    {{ utc('received_at') }} as received_at,
    cast(ms_played as bigint) as ms_played,
    -- Clients send 0 for a length they do not know.
    nullif(cast(duration_ms as bigint), 0) as duration_ms,
    cast(skipped as boolean) as is_skipped,
    reason_end,
    source,
    session_hint,
    impression_id,
    {{ album_artist('extra') }} as album_artist,
    {{ artist_mbid('extra') }} as artist_mbid,
    log_id,
    kafka_partition,
    kafka_offset,
    position,
    {{ utc('landed_at') }} as landed_at,
    {% for reason, broken in play_rules(utc('played_at'), utc('received_at')).items() -%}
    not ({{ broken }}){{ " and " if not loop.last else " as is_accepted" }}
    {% endfor %}
from {{ source('raw', 'plays') }}
