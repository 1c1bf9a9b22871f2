{#-
    How lists did, by day, arm, mode and model generation. The inverse-propensity rate is
    self-normalised: sum of hits / p over sum of 1 / p (Swaminathan and Joachims, "The
    self-normalized estimator for counterfactual learning", NIPS 2015).
-#}

with impressions as (

    select
        impression_id,
        user_id,
        shown_date,
        -- A list drafted from two arms counts for neither. If the draft failed, the label ends with `!` and
        -- the listener got the usual list: it keeps its label.
        case when contains(arm, '+') and not contains(arm, '!') then 'interleaved' else arm end as arm,
        mode,
        model_generation,
        tracks_shown,
        is_degraded
    from {{ ref('fct_impressions') }}

),

lists as (

    select
        impression_id,
        max(case when is_hit then 1 else 0 end) as is_hit,
        min(case when is_hit then position end) as first_hit,
        count(case when is_hit then 1 end) as hits,
        sum(case when is_hit then inverse_propensity else 0 end) as weighted_hits,
        sum(inverse_propensity) as weights
    from {{ ref('fct_recommendation_outcomes') }}
    group by impression_id

)

select
    impressions.shown_date,
    impressions.arm,
    impressions.mode,
    impressions.model_generation,
    cast(count(*) as bigint) as lists,
    cast(count(distinct impressions.user_id) as bigint) as listeners,
    cast(sum(impressions.tracks_shown) as bigint) as tracks_shown,
    cast(coalesce(sum(lists.is_hit), 0) as bigint) as lists_hit,
    cast(coalesce(sum(lists.hits), 0) as bigint) as hits,
    cast(coalesce(sum(lists.is_hit), 0) as double) / cast(count(*) as double) as hit_through_rate,
    cast(sum(lists.weighted_hits) / nullif(sum(lists.weights), 0) as double)
        as hit_rate_inverse_propensity,
    coalesce(sum(cast(1 as double) / (lists.first_hit + 1)), 0) / cast(count(*) as double)
        as mean_reciprocal_rank,
    cast(count(case when impressions.is_degraded then 1 end) as bigint) as lists_degraded
from impressions
left join lists on impressions.impression_id = lists.impression_id
group by
    impressions.shown_date,
    impressions.arm,
    impressions.mode,
    impressions.model_generation
