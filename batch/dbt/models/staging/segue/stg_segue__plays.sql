{#-
    One row a play. Of several deliveries the first received wins; what it left empty is filled
    from the later ones, and then from what other clients told of the same play. Repeats are rare,
    so when everything is built only they go through window functions: over ten million plays that
    costs a third of the memory of windows over everything. An incremental run folds few plays, and
    reads the lake half as often if all of them go the same way.

    Incremental: a play that was delivered again, merged or separated is folded again from *all* its
    deliveries, so the result is the same as a full refresh.
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
{%- set plain = [
    'user_id', 'track_id', 'artist', 'title', 'played_at', 'received_at', 'source',
] -%}
{%- set filled = [
    'album', 'ms_played', 'duration_ms', 'is_skipped', 'reason_end', 'session_hint',
    'impression_id', 'album_artist', 'artist_mbid',
] -%}
{%- set arrival = 'received_at, log_id, kafka_partition, kafka_offset, position' %}
{#- The play's own deliveries come first, then the other clients' by their start. -#}
{%- set order -%}
    deliveries.event_id <> deliveries.play_id,
    case when deliveries.event_id <> deliveries.play_id then deliveries.played_at end,
    case when deliveries.event_id <> deliveries.play_id then deliveries.event_id end,
    {{ arrival }}
{%- endset %}

with
{% if is_incremental() %}
changed as (

    select event_id
    from {{ ref('base_segue__merges') }}
    where changed_at >= {{ look_back('landed_at') }}

),

touched as (

    select play_id
    from {{ ref('base_segue__told') }}
    where landed_at >= {{ look_back('landed_at') }}
    union
    -- What a play lost, or gained and lost again, changes it too.
    select head_id
    from {{ ref('base_segue__merges') }}
    where event_id in (select event_id from changed) and head_id is not null

),

deliveries as (

    select * from {{ ref('base_segue__told') }}
    where play_id in (select play_id from touched)

),
{% else %}
-- By hash, which is a fifth of the memory; a play that is here by chance is folded all the same.
repeated as (

    select hash(play_id) as play_hash
    from {{ ref('base_segue__told') }}
    group by hash(play_id)
    having count(*) > 1

),

deliveries as (

    select * from {{ ref('base_segue__told') }}
    where hash(play_id) in (select repeated.play_hash from repeated)

),

delivered_once as (

    select
        play_id as event_id,
        {{ plain | join(', ') }},
        {{ filled | join(', ') }},
        landed_at
    from {{ ref('base_segue__told') }}
    where hash(play_id) not in (select repeated.play_hash from repeated)

),
{% endif %}
each_play as (

    select
        play_id as event_id,
        {{ plain | join(', ') }},
        {%- for column in filled %}
        {{ first_filled(column, 'play_id', order) }} as {{ column }},
        {%- endfor %}
        max(landed_at) over (partition by play_id) as landed_at
    from deliveries
    qualify row_number() over (partition by play_id order by {{ order }}) = 1

)

select * from each_play
{% if not is_incremental() -%}
union all
select * from delivered_once
{%- endif %}
