{#-
    The arms of started experiments. They are landed from PostgreSQL before a build; where they never
    were, there is none.
-#}
{%- set arms = source('raw', 'experiment_arms') %}

{% if execute and load_relation(arms) is not none -%}
select
    experiment,
    layer,
    hypothesis,
    metric,
    guardrails,
    arm,
    cast(position as bigint) as position,
    cast(weight as double) as weight,
    {{ utc('started_at') }} as started_at,
    {{ utc('planned_end') }} as planned_end,
    {{ utc('ended_at') }} as ended_at,
    -- What comes later is not judged.
    least({{ utc('planned_end') }}, coalesce({{ utc('ended_at') }}, {{ utc('planned_end') }}))
        as judged_until
from {{ arms }}
-- On Snowflake earlier versions lie there too.
where landed_at = (select max(versions.landed_at) from {{ arms }} as versions)
{%- else -%}
select
    cast(null as varchar) as experiment,
    cast(null as varchar) as layer,
    cast(null as varchar) as hypothesis,
    cast(null as varchar) as metric,
    cast(null as varchar) as guardrails,
    cast(null as varchar) as arm,
    cast(null as bigint) as position,
    cast(null as double) as weight,
    cast(null as timestamp) as started_at,
    cast(null as timestamp) as planned_end,
    cast(null as timestamp) as ended_at,
    cast(null as timestamp) as judged_until
where false
{%- endif %}
