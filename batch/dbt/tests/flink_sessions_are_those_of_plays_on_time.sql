{#
    Two programs count sessions: Flink while plays arrive, dbt at night. Over the plays that arrived
    within the bound, first delivery first, they must be the same rows. Compared are sessions that
    were over an hour before the last one Flink has published; a day counted again by a batch run
    holds late plays too and is left out.

    Flink's sessions still count plays that were erased one by one. So a session in which dbt counts
    fewer plays is no difference, unless more plays are missing than were erased.
#}
{{ config(enabled=target.type == 'duckdb') }}
{%- set erasures = source('raw', 'play_erasures') %}

with on_time as (

    select user_id, event_id, track_id, played_at
    from {{ ref('base_segue__plays') }}
    where
        {{ dbt.datediff('played_at', 'received_at', 'millisecond') }}
        <= {{ env_var('SEGUE_FLINK_BOUND', '900') }} * 1000
    qualify
        row_number() over (
            partition by user_id, event_id
            order by received_at, kafka_partition, kafka_offset, position
        ) = 1

),

marked as (

    select
        *,
        coalesce(
            {{ dbt.datediff('lag(played_at) over (partition by user_id order by played_at, event_id)',
                'played_at', 'millisecond') }}
            >= {{ session_gap_seconds() }} * 1000, true
        ) as begins
    from on_time

),

numbered as (

    select
        *,
        sum(case when begins then 1 else 0 end) over (
            partition by user_id order by played_at, event_id
            rows between unbounded preceding and current row
        ) as session_number
    from marked

),

counted as (

    select
        user_id,
        min(played_at) as started_at,
        max(played_at) as last_played_at,
        cast(count(*) as bigint) as plays,
        cast(count(distinct track_id) as bigint) as tracks
    from numbered
    group by user_id, session_number

),

published as (

    select user_id, started_at, last_played_at, plays, tracks
    from {{ ref('stg_segue__flink_sessions') }}
    where run = 0

),

compared as (

    select
        min(started_at) as first_start,
        {{ dbt.dateadd('hour', -1, 'max(last_played_at)') }} as last_end
    from published

),

recounted as (

    select distinct cast(started_at as date) as session_date
    from {{ ref('stg_segue__flink_sessions') }}
    where run > 0

),

expected as (

    select counted.*
    from counted
    cross join compared
    where
        counted.started_at >= compared.first_start
        and counted.last_played_at <= compared.last_end
        and cast(counted.started_at as date)
        not in (select recounted.session_date from recounted)

),

found as (

    select published.*
    from published
    cross join compared
    where published.last_played_at <= compared.last_end

),

different as (

    select
        coalesce(expected.user_id, found.user_id) as user_id,
        coalesce(expected.started_at, found.started_at) as started_at,
        coalesce(expected.last_played_at, found.last_played_at) as last_played_at,
        expected.plays as plays_by_dbt,
        found.plays as plays_by_flink
    from expected
    full outer join found
        on
            expected.user_id = found.user_id
            and expected.started_at = found.started_at
            and expected.last_played_at = found.last_played_at
            and expected.plays = found.plays
            and expected.tracks = found.tracks
    where expected.user_id is null or found.user_id is null

),

-- Without a play a session is shorter, two sessions, or none: always within what Flink published.
lacking as (

    select
        published.user_id,
        published.started_at,
        published.last_played_at,
        published.plays - coalesce(sum(counted.plays), 0) as missing
    from published
    left join counted
        on
            published.user_id = counted.user_id
            and published.started_at <= counted.started_at
            and published.last_played_at >= counted.last_played_at
    where published.user_id in (select different.user_id from different)
    group by published.user_id, published.started_at, published.last_played_at, published.plays
    having published.plays > coalesce(sum(counted.plays), 0)

),

unexplained as (

    select sum(missing) > {% if execute and load_relation(erasures) is not none -%}
        (select erased.erasures from {{ erasures }} as erased)
    {%- else -%}
        0
    {%- endif %} as is_more
    from lacking

)

select
    different.user_id,
    different.started_at,
    different.plays_by_dbt,
    different.plays_by_flink
from different
cross join unexplained
left join lacking
    on
        different.user_id = lacking.user_id
        and different.started_at >= lacking.started_at
        and different.last_played_at <= lacking.last_played_at
where lacking.user_id is null or unexplained.is_more
