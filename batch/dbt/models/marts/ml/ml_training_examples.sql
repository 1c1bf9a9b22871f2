{#-
    One row a play of known end of the last `feature_days`: was it skipped? The features are those
    of the listener and of the track when the day began, and the listener's own earlier plays of the
    track; nothing from the moment of the play or later.
-#}

with recent as (

    select
        *,
        lag(artist_key) over (partition by session_id order by session_position)
            as previous_artist_key,
        count(*) over (
            partition by user_id, song_key order by played_at
            range between interval '28 days' preceding and interval '1 millisecond' preceding
        ) as own_plays_28d
    from {{ ref('fct_plays') }}
    where
        played_date
        >= {{ dbt.dateadd('day', -2 * var('feature_days'), '(select max(played_date) from ' ~ ref('fct_plays') ~ ')') }}

)

select
    recent.event_id,
    recent.user_id,
    recent.track_id,
    recent.played_at,
    cast(recent.played_date as timestamp) as features_as_of,
    recent.is_skipped as label_is_skipped,
    recent.session_position,
    cast(extract(hour from recent.played_at) as bigint) as hour_of_day,
    coalesce(recent.previous_artist_key = recent.artist_key, false) as is_same_artist,
    cast(recent.own_plays_28d as bigint) as own_plays_28d,
    listeners.plays_28d as listener_plays_28d,
    listeners.skip_rate_28d as listener_skip_rate_28d,
    listeners.days_since_played as listener_days_since_played,
    tracks.plays_28d as track_plays_28d,
    tracks.skip_rate_28d as track_skip_rate_28d,
    tracks.days_since_played as track_days_since_played
from recent
inner join {{ ref('ml_listener_features_daily') }} as listeners
    on recent.user_id = listeners.user_id and recent.played_date = listeners.feature_date
inner join {{ ref('ml_track_features_daily') }} as tracks
    on recent.song_key = tracks.song_key and recent.played_date = tracks.feature_date
where recent.is_skipped is not null
