{#- Every day from the first play to the last, without gaps; weeks start on Monday (ISO). -#}

with bounds as (

    select
        cast(min(played_at) as date) as first_date,
        {{ dbt.datediff('min(played_at)', 'max(played_at)', 'day') }} as days
    from {{ ref('stg_segue__plays') }}

),

numbers as (

    {{ numbers(20000) }}

),

days as (

    select cast({{ dbt.dateadd('day', 'numbers.n', 'bounds.first_date') }} as date) as date_day
    from bounds
    cross join numbers
    where numbers.n <= bounds.days

)

select
    date_day,
    cast(extract(year from date_day) as bigint) as year_number,
    cast(extract(quarter from date_day) as bigint) as quarter_number,
    cast(extract(month from date_day) as bigint) as month_number,
    cast({{ dbt.date_trunc('week', 'date_day') }} as date) as week_start_date,
    cast({{ dbt.date_trunc('month', 'date_day') }} as date) as month_start_date,
    cast({{ dbt.datediff(dbt.date_trunc('week', 'date_day'), 'date_day', 'day') }} + 1 as bigint)
        as iso_weekday,
    {{ dbt.datediff(dbt.date_trunc('week', 'date_day'), 'date_day', 'day') }} >= 5 as is_weekend
from days
