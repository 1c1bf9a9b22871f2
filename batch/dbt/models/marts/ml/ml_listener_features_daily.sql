{#-
    What was known of a listener when a day began, for the days of the last `feature_days` on which
    the listener played. Only earlier days are looked at, so a feature cannot know its label.
-#}

with recent as (

    select *
    from {{ ref('fct_plays') }}
    where
        played_date
        >= {{ dbt.dateadd('day', -2 * var('feature_days'), '(select max(played_date) from ' ~ ref('fct_plays') ~ ')') }}

),

days as (

    select
        user_id,
        played_date,
        count(*) as plays,
        count(distinct song_key) as tracks,
        count(distinct session_id) as sessions,
        count(is_skipped) as plays_of_known_end,
        count(case when is_skipped then 1 end) as skips
    from recent
    group by user_id, played_date

),

features as (

    select
        user_id,
        played_date as feature_date,
        {% for days in (7, 28) -%}
        {% for column in ('plays', 'tracks', 'sessions', 'skips', 'plays_of_known_end') -%}
        sum({{ column }}) over (
            partition by user_id order by played_date
            range between interval '{{ days }} days' preceding and interval '1 days' preceding
        ) as {{ column }}_{{ days }}d,
        {% endfor -%}
        {% endfor -%}
        lag(played_date) over (partition by user_id order by played_date) as previous_date
    from days

)

select
    user_id,
    feature_date,
    cast(coalesce(plays_7d, 0) as bigint) as plays_7d,
    cast(coalesce(plays_28d, 0) as bigint) as plays_28d,
    cast(coalesce(tracks_28d, 0) as bigint) as daily_tracks_28d,
    cast(coalesce(sessions_28d, 0) as bigint) as sessions_28d,
    cast(skips_28d as double) / cast(nullif(plays_of_known_end_28d, 0) as double)
        as skip_rate_28d,
    cast({{ dbt.datediff('previous_date', 'feature_date', 'day') }} as bigint) as days_since_played
from features
where
    feature_date
    > {{ dbt.dateadd('day', -1 * var('feature_days'), '(select max(played_date) from ' ~ ref('fct_plays') ~ ')') }}
