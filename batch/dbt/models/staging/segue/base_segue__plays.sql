{#- Every delivery, typed, with the reasons for which it cannot be used (null: it can). -#}

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
    cast(duration_ms as bigint) as duration_ms,
    cast(skipped as boolean) as is_skipped,
    reason_end,
    source,
    session_hint,
    impression_id,
    log_id,
    kafka_partition,
    kafka_offset,
    position,
    {{ utc('landed_at') }} as landed_at,
    nullif(
        trim(
            case when length(event_id) = 36 then '' else 'bad-event-id ' end
            || case when trim(user_id) = '' then 'no-user ' else '' end
            || case when trim(track_id) = '' then 'no-track ' else '' end
            || case when trim(artist) = '' then 'no-artist ' else '' end
            || case when trim(title) = '' then 'no-title ' else '' end
            || case
                when {{ utc('played_at') }} < cast('{{ var("first_play") }}' as timestamp)
                    then 'too-old '
                else ''
            end
            || case
                when
                    {{ utc('played_at') }}
                    > {{ dbt.dateadd('hour', var('clock_skew_hours'), utc('received_at')) }}
                    then 'future '
                else ''
            end
            || case when ms_played < 0 then 'negative-ms-played ' else '' end
            || case when duration_ms <= 0 then 'no-duration ' else '' end
        ),
        ''
    ) as reject_reasons
from {{ source('raw', 'plays') }}
