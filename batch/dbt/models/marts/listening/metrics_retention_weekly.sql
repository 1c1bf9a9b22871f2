{#-
    Who comes back: for the listeners whose first play fell into a week, how many played in each
    week since. Weeks start on Monday (ISO); week 0 is the week of the first play.
-#}

with weeks as (

    select distinct
        user_id,
        cast({{ dbt.date_trunc('week', 'played_date') }} as date) as week_start_date
    from {{ ref('fct_plays') }}

),

cohorts as (

    select user_id, min(week_start_date) as cohort_week
    from weeks
    group by user_id

),

active as (

    select
        cohorts.cohort_week,
        {{ dbt.datediff('cohorts.cohort_week', 'weeks.week_start_date', 'day') }} / 7 as weeks_since,
        count(*) as active_listeners
    from weeks
    inner join cohorts on weeks.user_id = cohorts.user_id
    group by cohorts.cohort_week, weeks.week_start_date

)

select
    cohort_week,
    cast(weeks_since as bigint) as weeks_since,
    cast(
        first_value(active_listeners) over (partition by cohort_week order by weeks_since) as bigint
    ) as cohort_listeners,
    cast(active_listeners as bigint) as active_listeners,
    cast(active_listeners as double) / cast(
        first_value(active_listeners) over (partition by cohort_week order by weeks_since) as double
    ) as retention_rate
from active
