{#-
    One row a listener and interleaved experiment: lists drafted from both arms, and the tracks played
    that each arm picked. A place names the arm that picked its track (`key=arm+`); a list that fell
    back to the usual one names both (`key=control+arm!`) and credits nobody.
-#}

with experiments as (

    select
        experiment,
        started_at,
        ended_at,
        max(case when position = 0 then arm end) as control,
        max(case when position = 1 then arm end) as arm
    from {{ ref('stg_segue__experiment_arms') }}
    where metric = 'preference'
    group by experiment, started_at, ended_at

),

lists as (

    select
        experiments.experiment,
        impressions.user_id,
        impressions.impression_id,
        contains(
            ';' || impressions.arm || ';',
            ';' || experiments.experiment || '=' || experiments.control || '+' || experiments.arm || '!;'
        ) as fell_back
    from {{ ref('fct_impressions') }} as impressions
    inner join experiments
        on
            impressions.shown_at >= experiments.started_at
            and (experiments.ended_at is null or impressions.shown_at < experiments.ended_at)
            and (
                contains(';' || impressions.arm, ';' || experiments.experiment || '=' || experiments.control || '+')
                or contains(';' || impressions.arm, ';' || experiments.experiment || '=' || experiments.arm || '+')
            )
    where impressions.tracks_shown > 0

),

places as (

    select
        experiments.experiment,
        outcomes.impression_id,
        outcomes.position,
        outcomes.is_hit,
        contains(
            ';' || outcomes.arm || ';', ';' || experiments.experiment || '=' || experiments.control || '+;'
        ) as of_control,
        contains(
            ';' || outcomes.arm || ';', ';' || experiments.experiment || '=' || experiments.arm || '+;'
        ) as of_arm
    from {{ ref('fct_recommendation_outcomes') }} as outcomes
    inner join experiments
        on contains(';' || outcomes.arm, ';' || experiments.experiment || '=')

),

credits as (

    select
        experiment,
        impression_id,
        count(case when of_control and is_hit then 1 end) as credits_control,
        count(case when of_arm and is_hit then 1 end) as credits_arm,
        count(case when of_control and position = 0 then 1 end) as first_control,
        count(case when of_arm and position = 0 then 1 end) as first_arm
    from places
    group by experiment, impression_id

)

select
    lists.experiment,
    lists.user_id,
    cast(count(case when not lists.fell_back then 1 end) as bigint) as lists,
    cast(count(case when lists.fell_back then 1 end) as bigint) as lists_fell_back,
    {% for name in ['credits_control', 'credits_arm', 'first_control', 'first_arm'] -%}
    cast(coalesce(sum(credits.{{ name }}), 0) as bigint) as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}
from lists
left join credits
    on lists.experiment = credits.experiment and lists.impression_id = credits.impression_id
group by lists.experiment, lists.user_id
