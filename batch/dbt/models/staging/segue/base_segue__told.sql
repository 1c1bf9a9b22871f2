{#-
    Every accepted delivery with the play it is counted as. If the merge of a delivery changes, the
    delivery gets a new landing time: so incremental models read it again.
-#}

select
    deliveries.event_id,
    coalesce(journal.head_id, deliveries.event_id) as play_id,
    deliveries.user_id,
    deliveries.track_id,
    deliveries.artist,
    deliveries.title,
    deliveries.album,
    deliveries.played_at,
    deliveries.received_at,
    deliveries.ms_played,
    deliveries.duration_ms,
    deliveries.is_skipped,
    deliveries.reason_end,
    deliveries.source,
    deliveries.session_hint,
    deliveries.impression_id,
    deliveries.album_artist,
    deliveries.artist_mbid,
    deliveries.log_id,
    deliveries.kafka_partition,
    deliveries.kafka_offset,
    deliveries.position,
    greatest(deliveries.landed_at, coalesce(journal.changed_at, deliveries.landed_at)) as landed_at
from {{ ref('base_segue__plays') }} as deliveries
left join {{ ref('base_segue__merges') }} as journal
    on deliveries.event_id = journal.event_id and journal.is_current
where deliveries.is_accepted
