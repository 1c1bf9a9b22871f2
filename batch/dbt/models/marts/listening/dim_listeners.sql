{#-
    Listeners, one row for each version of their traits (SCD type 2). The totals are of today on
    every version (type 1). The first version reaches back to the first play, so that every play
    falls into exactly one.
-#}

with versions as (

    select
        user_id,
        main_source,
        favourite_artist_key,
        dbt_scd_id as listener_key,
        dbt_valid_from,
        dbt_valid_to,
        row_number() over (partition by user_id order by dbt_valid_from) as version_number
    from {{ ref('snap_listeners') }}

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
    versions.dbt_valid_to as valid_to,
    versions.dbt_valid_to is null as is_current,
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
    cast('{{ var("first_play") }}' as timestamp),
    cast(null as timestamp),
    true,
    cast(0 as bigint),
    cast(0 as bigint),
    cast(null as timestamp),
    cast(null as timestamp)
