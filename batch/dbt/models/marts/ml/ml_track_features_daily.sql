{#-
    What was known of a track when a day began, for the days of the last `feature_days` on which it
    was played. Only earlier days are looked at.
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
        song_key,
        played_date,
        count(*) as plays,
        count(distinct user_id) as listeners,
        count(is_skipped) as plays_of_known_end,
        count(case when is_skipped then 1 end) as skips
    from recent
    group by song_key, played_date

),

features as (

    select
        song_key,
        played_date as feature_date,
        {% for days in (7, 28) -%}
        {% for column in ('plays', 'listeners', 'skips', 'plays_of_known_end') -%}
        sum({{ column }}) over (
            partition by song_key order by played_date
            range between interval '{{ days }} days' preceding and interval '1 days' preceding
        ) as {{ column }}_{{ days }}d,
        {% endfor -%}
        {% endfor -%}
        lag(played_date) over (partition by song_key order by played_date) as previous_date
    from days

)

select
    song_key,
    feature_date,
    cast(coalesce(plays_7d, 0) as bigint) as plays_7d,
    cast(coalesce(plays_28d, 0) as bigint) as plays_28d,
    cast(coalesce(listeners_28d, 0) as bigint) as daily_listeners_28d,
    cast(skips_28d as double) / cast(nullif(plays_of_known_end_28d, 0) as double)
        as skip_rate_28d,
    cast({{ dbt.datediff('previous_date', 'feature_date', 'day') }} as bigint) as days_since_played
from features
where
    feature_date
    > {{ dbt.dateadd('day', -1 * var('feature_days'), '(select max(played_date) from ' ~ ref('fct_plays') ~ ')') }}
