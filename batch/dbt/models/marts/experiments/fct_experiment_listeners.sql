{#-
    One row a listener and experiment: the arm, and what was listened to since the first list of the
    experiment and over the 28 days before it.

    A list counts where the experiment could change it: the API names the arm in the impression. A
    listener who fell back to the usual list stays in the arm that was meant: leaving out the ones an
    arm could not serve would compare different listeners. Lists that a tester forced do not count.

    The experiment '' has one arm, everybody who was here in the last 14 days, as if it had begun 14
    days ago: from its figures comes how many listeners an experiment needs.
    Lists and plays count up to the planned end, or up to the actual end if that was earlier. So the figures
    stay the same from then on, and every later report repeats one look.

    Rebuilt as a whole: late plays change the figures.
-#}
{#- Columns of the time since the first list, and of the time before it. #}
{%- set spans = [('', '>='), ('_before', '<')] %}
{%- set counted = {
    'plays': 'true',
    'new_songs': 'plays.is_new',
    'listed': 'plays.is_listed',
    'listed_heard': 'plays.is_listed and plays.is_counted',
    'listed_skipped': 'plays.is_listed and plays.is_skipped',
} %}

with arms as (

    select * from {{ ref('stg_segue__experiment_arms') }}

),

impressions as (

    select
        impression_id,
        user_id,
        shown_at,
        arm,
        is_degraded,
        tracks_shown
    from {{ ref('fct_impressions') }}

),

labels as (

    -- A few labels name the arms of all lists: texts are compared once a label, not once a list.
    select
        shown.arm as label,
        arms.experiment,
        arms.arm,
        arms.position,
        arms.started_at,
        arms.judged_until,
        contains(
            ';' || shown.arm || ';', ';' || arms.experiment || '=' || arms.arm || '!;'
        ) as fell_back
    from (select distinct arm from impressions where arm <> 'default') as shown
    inner join arms
        -- A list that fell back to the usual one (`!`) counts for the arm that was meant.
        on contains(
            ';' || replace(shown.arm, '!', '') || ';',
            ';' || arms.experiment || '=' || arms.arm || ';'
        )

),

exposed as (

    select
        labels.experiment,
        labels.arm,
        labels.position,
        labels.judged_until,
        impressions.user_id,
        impressions.shown_at,
        labels.fell_back
    from impressions
    inner join labels
        on
            impressions.arm = labels.label
            and impressions.shown_at >= labels.started_at
            and impressions.shown_at < labels.judged_until

),

newest as (

    select max(played_at) as newest_at
    from (
        select max(played_at) as played_at from {{ ref('fct_plays') }}
        union all
        select max(shown_at) as played_at from impressions
    ) as both_logs

),

everybody as (

    select
        '' as experiment,
        'everybody' as arm,
        cast(0 as bigint) as position,
        newest.newest_at as judged_until,
        here.user_id,
        {{ dbt.dateadd('day', -14, 'newest.newest_at') }} as shown_at,
        false as fell_back
    from (
        select user_id, max(played_at) as seen_at from {{ ref('fct_plays') }} group by user_id
        union all
        select user_id, max(shown_at) as seen_at from impressions group by user_id
    ) as here
    cross join newest
    where here.seen_at >= {{ dbt.dateadd('day', -14, 'newest.newest_at') }}

),

all_exposed as (

    select * from exposed
    union all
    select * from everybody

),

listeners as (

    select
        all_exposed.experiment,
        all_exposed.user_id,
        min(all_exposed.arm) as arm,
        min(all_exposed.position) as position,
        count(distinct all_exposed.arm) as arms_seen,
        sum(case when all_exposed.fell_back then 1 else 0 end) as lists_fell_back,
        min(all_exposed.shown_at) as exposed_at,
        {{ dbt.dateadd('day', -28, 'min(all_exposed.shown_at)') }} as before_at,
        least(min(all_exposed.judged_until), min(newest.newest_at)) as until_at
    from all_exposed
    cross join newest
    group by all_exposed.experiment, all_exposed.user_id

),

hits as (

    select distinct impression_id
    from {{ ref('fct_recommendation_outcomes') }}
    where is_hit

),

lists as (

    select
        listeners.experiment,
        listeners.user_id,
        count(case when impressions.shown_at >= listeners.exposed_at then 1 end) as lists,
        count(case when impressions.shown_at < listeners.exposed_at then 1 end) as lists_before,
        {% for suffix, when in spans -%}
        count(
            case when impressions.shown_at {{ when }} listeners.exposed_at and hits.impression_id is not null then 1 end
        ) as lists_hit{{ suffix }},
        count(
            case when impressions.shown_at {{ when }} listeners.exposed_at and impressions.is_degraded then 1 end
        ) as lists_degraded{{ suffix }}{{ ',' if not loop.last }}
        {% endfor %}
    from listeners
    inner join impressions
        on
            listeners.user_id = impressions.user_id
            and listeners.before_at <= impressions.shown_at
            and listeners.until_at >= impressions.shown_at
            and impressions.tracks_shown > 0
    left join hits on impressions.impression_id = hits.impression_id
    group by listeners.experiment, listeners.user_id

),

first_plays as (

    select user_id, song_key, min(played_at) as first_at
    from {{ ref('fct_plays') }}
    group by user_id, song_key

),

plays as (

    select
        plays.user_id,
        plays.played_at,
        plays.heard_ms,
        plays.is_counted,
        plays.is_skipped,
        outcomes.event_id is not null as is_listed,
        plays.played_at = first_plays.first_at as is_new
    from {{ ref('fct_plays') }} as plays
    inner join first_plays
        on plays.user_id = first_plays.user_id and plays.song_key = first_plays.song_key
    left join {{ ref('fct_recommendation_outcomes') }} as outcomes
        on plays.event_id = outcomes.event_id
    where plays.user_id in (select listeners.user_id from listeners)

),

heard as (

    select
        listeners.experiment,
        listeners.user_id,
        {% for suffix, when in spans -%}
        {% for name, what in counted.items() -%}
        count(case when plays.played_at {{ when }} listeners.exposed_at and {{ what }} then 1 end)
            as {{ name }}{{ suffix }},
        {% endfor -%}
        coalesce(
            sum(case when plays.played_at {{ when }} listeners.exposed_at then plays.heard_ms end), 0
        ) as heard_ms{{ suffix }},
        {% endfor -%}
        count(
            case
                when
                    plays.played_at >= {{ dbt.dateadd('day', 1, 'listeners.exposed_at') }}
                    and plays.played_at < {{ dbt.dateadd('day', 2, 'listeners.exposed_at') }}
                    then 1
            end
        ) as plays_next_day,
        count(
            case
                when
                    plays.played_at >= {{ dbt.dateadd('day', 1, 'listeners.exposed_at') }}
                    and plays.played_at < {{ dbt.dateadd('day', 8, 'listeners.exposed_at') }}
                    then 1
            end
        ) as plays_next_week
    from listeners
    inner join plays
        on
            listeners.user_id = plays.user_id
            and listeners.before_at <= plays.played_at
            and listeners.until_at >= plays.played_at
    group by listeners.experiment, listeners.user_id

)

select
    listeners.experiment,
    listeners.user_id,
    listeners.arm,
    cast(listeners.position as bigint) as position,
    cast(listeners.arms_seen as bigint) as arms_seen,
    cast(listeners.lists_fell_back as bigint) as lists_fell_back,
    listeners.exposed_at,
    listeners.until_at,
    -- At least an hour, so that a listener of the last minutes has no endless rate.
    cast(
        greatest({{ dbt.datediff('listeners.exposed_at', 'listeners.until_at', 'second') }}, 3600)
        as double
    ) / 86400 as days,
    {% for name in [
        'lists', 'lists_hit', 'lists_degraded', 'lists_before', 'lists_hit_before', 'lists_degraded_before'
    ] -%}
    cast(coalesce(lists.{{ name }}, 0) as bigint) as {{ name }},
    {% endfor -%}
    {% for name in [
        'plays', 'plays_before', 'heard_ms', 'heard_ms_before', 'new_songs', 'new_songs_before', 'listed',
        'listed_before', 'listed_heard', 'listed_heard_before', 'listed_skipped', 'listed_skipped_before',
        'plays_next_day', 'plays_next_week'
    ] -%}
    cast(coalesce(heard.{{ name }}, 0) as bigint) as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from listeners
left join lists on listeners.experiment = lists.experiment and listeners.user_id = lists.user_id
left join heard on listeners.experiment = heard.experiment and listeners.user_id = heard.user_id
