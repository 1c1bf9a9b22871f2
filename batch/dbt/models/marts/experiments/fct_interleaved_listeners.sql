{#-
    One row a listener and interleaved experiment: lists drafted from both arms, and the tracks played
    that each arm picked. A place names the arm that picked its track (`key=arm+`); a list that fell
    back to the usual one names both (`key=control+arm!`) and credits nobody.
-#}

with experiments as (

    select
        experiment,
        started_at,
        judged_until,
        max(case when position = 0 then arm end) as control,
        max(case when position = 1 then arm end) as arm
    from {{ ref('stg_segue__experiment_arms') }}
    where metric = 'preference'
    group by experiment, started_at, judged_until

),

labels as (

    -- The team that each label of a place names: texts are compared once a label.
    select
        shown.arm as label,
        experiments.experiment,
        experiments.started_at,
        experiments.judged_until,
        contains(shown.tagged, ';' || experiments.experiment || '=' || experiments.control || '+;') as of_control,
        contains(shown.tagged, ';' || experiments.experiment || '=' || experiments.arm || '+;') as of_arm,
        contains(
            shown.tagged,
            ';' || experiments.experiment || '=' || experiments.control || '+' || experiments.arm || '!;'
        ) as fell_back
    from (
        select distinct
            arm,
            ';' || arm || ';' as tagged
        from {{ ref('fct_recommendation_outcomes') }}
        where contains(arm, '+')
    ) as shown
    cross join experiments

),

lists as (

    select
        labels.experiment,
        impressions.user_id,
        impressions.impression_id,
        labels.fell_back
    from {{ ref('fct_impressions') }} as impressions
    inner join labels
        on
            impressions.arm = labels.label
            and impressions.shown_at >= labels.started_at
            and impressions.shown_at < labels.judged_until
    where
        impressions.tracks_shown > 0
        and (labels.of_control or labels.of_arm or labels.fell_back)

),

places as (

    select
        labels.experiment,
        outcomes.impression_id,
        outcomes.position,
        outcomes.is_hit,
        labels.of_control,
        labels.of_arm
    from {{ ref('fct_recommendation_outcomes') }} as outcomes
    inner join labels on outcomes.arm = labels.label
    where labels.of_control or labels.of_arm

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
