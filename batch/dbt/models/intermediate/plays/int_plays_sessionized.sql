{#-
    Which session each play belongs to. A pause of `session_gap_seconds` or more between the
    starts of two plays begins a new session; a session is named by its first play.

    Incremental: a play that arrives late can extend a session, join two, or start one earlier. For
    each listener with new plays, everything from the start of the session in progress before the
    earliest of them is computed again; what lies before cannot change. So is a session of which
    an erasure has deleted a play: its name and its beginning may be those of the erased play, and
    what is left of it may be two sessions.

    `session_landed_at` is when the session last changed: what is built on top reads by it.
-#}
{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='event_id',
        on_schema_change='fail',
        post_hook='{{ forget_merged() }}',
    )
}}
-- depends_on: {{ ref('base_segue__merges') }}
{%- set order = 'played_at, event_id' %}

with
{% if is_incremental() %}

new_or_erased as (

    select user_id, date_trunc('second', min(played_at)) as since
    from {{ ref('stg_segue__plays') }}
    where landed_at >= {{ look_back('landed_at') }}
    group by user_id
    union all
    select user_id, min(session_started_at) as since
    from {{ this }}
    group by user_id, session_id
    having {{ lost_a_play() }}

),

changed as (

    select user_id, min(since) as since
    from new_or_erased
    group by user_id

),

reopened as (

    select changed.user_id, coalesce(max(known.session_started_at), min(changed.since)) as since
    from changed
    left join {{ this }} as known
        on changed.user_id = known.user_id and changed.since >= known.session_started_at
    group by changed.user_id

),

{% endif %}

plays as (

    select stg.event_id, stg.user_id, stg.played_at, stg.landed_at
    from {{ ref('stg_segue__plays') }} as stg
    {% if is_incremental() %}
        inner join reopened on stg.user_id = reopened.user_id and stg.played_at >= reopened.since
    {% endif %}

),

paused as (

    select
        *,
        lag(played_at) over (partition by user_id order by {{ order }}) as previous_played_at,
        row_number() over (partition by user_id order by {{ order }}) as play_number
    from plays

),

started as (

    select
        *,
        previous_played_at is null
        or {{ dbt.datediff('previous_played_at', 'played_at', 'millisecond') }}
        >= {{ session_gap_seconds() }} * 1000 as is_session_start
    from paused

),

named as (

    -- Sorted by number: a third of the cost of sorting by time and name once more.
    select
        event_id,
        user_id,
        played_at,
        landed_at,
        is_session_start,
        {{ last_filled('case when is_session_start then event_id end', 'user_id', 'play_number') }}
            as session_id,
        {{ last_filled('case when is_session_start then played_at end', 'user_id', 'play_number') }}
            as session_started_at,
        play_number
        - {{ last_filled('case when is_session_start then play_number end', 'user_id', 'play_number') }}
        + 1 as session_position
    from started

),

changed_sessions as (

    select session_id, max(landed_at) as session_landed_at
    from named
    group by session_id

)

select
    named.event_id,
    named.user_id,
    named.played_at,
    named.landed_at,
    named.session_id,
    named.session_started_at,
    cast(named.session_position as bigint) as session_position,
    named.is_session_start,
    changed_sessions.session_landed_at
from named
inner join changed_sessions on named.session_id = changed_sessions.session_id
