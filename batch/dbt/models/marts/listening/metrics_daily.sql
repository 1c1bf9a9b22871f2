{#- What a day was like: one row for every day of `dim_dates`, days without plays included. -#}

with days as (

    select
        played_date,
        count(*) as plays,
        count(distinct user_id) as active_listeners,
        count(distinct session_id) as sessions,
        count(case when is_counted then 1 end) as counted_plays,
        sum(heard_ms) as ms_played,
        count(heard_ms) as plays_of_known_time,
        count(is_skipped) as plays_of_known_end,
        count(case when is_skipped then 1 end) as skips
    from {{ ref('fct_plays') }}
    group by played_date

),

first_plays as (

    select user_id, song_key, min(played_date) as first_date
    from {{ ref('fct_plays') }}
    group by user_id, song_key

),

discoveries as (

    select first_date, count(*) as discoveries
    from first_plays
    group by first_date

),

arrivals as (

    select first_date, count(*) as new_listeners
    from (
        select user_id, min(first_date) as first_date
        from first_plays
        group by user_id
    ) as listeners
    group by first_date

)

select
    dates.date_day,
    cast(coalesce(days.plays, 0) as bigint) as plays,
    cast(coalesce(days.active_listeners, 0) as bigint) as active_listeners,
    cast(coalesce(arrivals.new_listeners, 0) as bigint) as new_listeners,
    cast(coalesce(days.sessions, 0) as bigint) as sessions,
    cast(coalesce(days.ms_played, 0) as bigint) as ms_played,
    cast(coalesce(days.counted_plays, 0) as bigint) as counted_plays,
    cast(coalesce(days.plays_of_known_time, 0) as bigint) as plays_of_known_time,
    cast(coalesce(days.plays_of_known_end, 0) as bigint) as plays_of_known_end,
    cast(coalesce(discoveries.discoveries, 0) as bigint) as discoveries,
    cast(discoveries.discoveries as double) / cast(nullif(days.plays, 0) as double)
        as discovery_rate,
    cast(days.skips as double) / cast(nullif(days.plays_of_known_end, 0) as double) as skip_rate
from {{ ref('dim_dates') }} as dates
left join days on dates.date_day = days.played_date
left join discoveries on dates.date_day = discoveries.first_date
left join arrivals on dates.date_day = arrivals.first_date
