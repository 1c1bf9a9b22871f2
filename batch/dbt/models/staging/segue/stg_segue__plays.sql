{#-
    One row a play. Of several deliveries the first received wins; what it left empty is filled
    from the later ones. Repeats are rare, so only they go through window functions: over ten
    million plays that costs a third of the memory of windows over everything.

    Incremental: a play that was delivered again is folded anew from *all* its deliveries, so the
    result is the same as a full refresh.
-#}
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='event_id',
        on_schema_change='fail',
    )
}}
{%- set plain = [
    'event_id', 'user_id', 'track_id', 'artist', 'title', 'played_at', 'received_at', 'source',
] -%}
{%- set filled = [
    'album', 'ms_played', 'duration_ms', 'is_skipped', 'reason_end', 'session_hint',
    'impression_id',
] -%}
{%- set arrival = 'received_at, log_id, kafka_partition, kafka_offset, position' %}

with
{% if is_incremental() %}
touched as (

    select distinct event_id
    from {{ ref('base_segue__plays') }}
    where is_accepted and landed_at >= {{ look_back('landed_at') }}

),
{% endif %}
repeated as (

    select event_id
    from {{ ref('base_segue__plays') }}
    where
        is_accepted
        {% if is_incremental() %} and event_id in (select event_id from touched) {% endif %}
    group by event_id
    having count(*) > 1

),

delivered_once as (

    select
        {{ plain | join(', ') }},
        {{ filled | join(', ') }},
        landed_at
    from {{ ref('base_segue__plays') }} as deliveries
    where
        is_accepted
        {% if is_incremental() %} and event_id in (select event_id from touched) {% endif %}
        and not exists (
            select 1 from repeated where repeated.event_id = deliveries.event_id
        )

),

delivered_again as (

    select
        {{ plain | join(', ') }},
        {%- for column in filled %}
        {{ first_filled(column, 'event_id', arrival) }} as {{ column }},
        {%- endfor %}
        max(landed_at) over (partition by event_id) as landed_at
    from {{ ref('base_segue__plays') }}
    where is_accepted and event_id in (select event_id from repeated)
    qualify row_number() over (partition by event_id order by {{ arrival }}) = 1

)

select * from delivered_once
union all
select * from delivered_again
