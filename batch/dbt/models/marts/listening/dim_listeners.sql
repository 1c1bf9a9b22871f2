{#- One row a listener who has ever played anything. -#}

select
    user_id,
    cast(count(*) as bigint) as plays,
    cast(count(distinct cast(played_at as date)) as bigint) as active_days,
    cast(min(played_at) as date) as first_played_date,
    min(played_at) as first_played_at,
    max(played_at) as last_played_at
from {{ ref('stg_segue__plays') }}
group by user_id
union all
select
    {{ unknown() }},
    cast(0 as bigint),
    cast(0 as bigint),
    cast(null as date),
    cast(null as timestamp),
    cast(null as timestamp)
