{#-
    The sums over listeners from which each metric of each arm is judged (batch/experiments): of the
    numerator y and the denominator d since the first list, of both before it, and of their products.
    Listeners who saw two arms are left out; the report counts them.

    Every metric of an experiment is defined here and nowhere else. That of an interleaved experiment,
    `preference`, has one row: y and d are plays credited to the second arm and lists, y0 and d0 plays
    credited to the control and lists, by the same listeners at the same time.
-#}
{%- set columns = ['y', 'd', 'y0', 'd0'] %}
{%- set metrics = {
    'hit_through': ('lists_hit', 'lists', 'lists_hit_before', 'lists_before'),
    'degraded': ('lists_degraded', 'lists', 'lists_degraded_before', 'lists_before'),
    'relevance': ('listed_heard', 'listed', 'listed_heard_before', 'listed_before'),
    'plays_per_day': ('plays', 'days', 'plays_before', '28'),
    'hours_per_day': ('heard_ms / 3600000.0', 'days', 'heard_ms_before / 3600000.0', '28'),
    'skip_rate': ('listed_skipped', 'listed', 'listed_skipped_before', 'listed_before'),
    'discovery': ('new_songs', 'plays', 'new_songs_before', 'plays_before'),
    'returned_next_day': (
        'case when days >= 2 and plays_next_day > 0 then 1 else 0 end', 'case when days >= 2 then 1 else 0 end',
        '0', '0'
    ),
    'returned_next_week': (
        'case when days >= 8 and plays_next_week > 0 then 1 else 0 end', 'case when days >= 8 then 1 else 0 end',
        '0', '0'
    ),
} %}

with figures as (

    {% for metric, (y, d, y0, d0) in metrics.items() %}
    select
        experiment,
        arm,
        position,
        '{{ metric }}' as metric,
        cast({{ y }} as double) as y,
        cast({{ d }} as double) as d,
        cast({{ y0 }} as double) as y0,
        cast({{ d0 }} as double) as d0
    from {{ ref('fct_experiment_listeners') }}
    where arms_seen = 1
    union all
    {% endfor %}
    select
        arms.experiment,
        arms.arm,
        arms.position,
        'preference' as metric,
        cast(listeners.credits_arm as double) as y,
        cast(listeners.lists as double) as d,
        cast(listeners.credits_control as double) as y0,
        cast(listeners.lists as double) as d0
    from {{ ref('fct_interleaved_listeners') }} as listeners
    inner join {{ ref('stg_segue__experiment_arms') }} as arms
        on listeners.experiment = arms.experiment and arms.position = 1
    where listeners.lists > 0
)

select
    experiment,
    arm,
    position,
    metric,
    cast(count(*) as bigint) as listeners,
    {% for a in columns -%}
    sum({{ a }}) as sum_{{ a }},
    {% endfor -%}
    {% for a in columns -%}
    {% set outer = loop.index0 -%}
    {% for b in columns[outer:] -%}
    sum({{ a }} * {{ b }}) as sum_{{ a }}_{{ b }}{{ ',' if not (outer == 3) }}
    {% endfor -%}
    {% endfor %}
from figures
group by experiment, arm, position, metric
