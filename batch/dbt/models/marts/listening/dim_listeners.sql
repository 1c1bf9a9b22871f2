{#-
    Listeners, one row for each version of their traits (SCD type 2). The totals are of today on
    every version (type 1). The first version reaches back to the first play and each ends where the
    next one begins, so that every play falls into exactly one.
-#}

with held as (

    -- Traits can change without a newer play: plays that landed behind others, a mended lake, a new
    -- rule. That leaves a version which ended when it began; it is one only if there is no other.
    select *
    from {{ ref('snap_listeners') }}
    qualify
        coalesce(dbt_valid_to > dbt_valid_from, true)
        or row_number() over (
            partition by user_id
            order by coalesce(dbt_valid_to > dbt_valid_from, true) desc, dbt_valid_from desc
        ) = 1

),

distinct_versions as (

    select *
    from held
    qualify
        row_number() over (
            partition by user_id, dbt_valid_from
            order by case when dbt_valid_to is null then 0 else 1 end, dbt_valid_to desc
        ) = 1

),

versions as (

    select
        user_id,
        main_source,
        favourite_artist_key,
        dbt_scd_id as listener_key,
        dbt_valid_from,
        lead(dbt_valid_from) over (partition by user_id order by dbt_valid_from) as valid_to,
        row_number() over (partition by user_id order by dbt_valid_from) as version_number
    from distinct_versions

)

select
    cast(versions.listener_key as varchar) as listener_key,
    versions.user_id,
    cast(versions.version_number as bigint) as version_number,
    versions.main_source,
    versions.favourite_artist_key,
    case
        when versions.version_number = 1
            then least(today.first_played_at, versions.dbt_valid_from)
        else versions.dbt_valid_from
    end as valid_from,
    versions.valid_to,
    versions.valid_to is null as is_current,
    cast(today.plays as bigint) as plays,
    cast(today.active_days as bigint) as active_days,
    today.first_played_at,
    today.last_played_at
from versions
inner join {{ ref('int_listeners_described') }} as today on versions.user_id = today.user_id
union all
select
    {{ unknown() }},
    {{ unknown() }},
    cast(1 as bigint),
    'unknown',
    {{ unknown() }},
    {{ first_play() }},
    cast(null as timestamp),
    true,
    cast(0 as bigint),
    cast(0 as bigint),
    cast(null as timestamp),
    cast(null as timestamp)
