{# Words that DuckDB and Snowflake spell differently. #}

{# A time with zone as a plain timestamp in UTC. #}
{% macro utc(expression) -%}
    {{ return(adapter.dispatch('utc', 'segue')(expression)) }}
{%- endmacro %}

{% macro default__utc(expression) -%}
    cast({{ expression }} at time zone 'UTC' as timestamp)
{%- endmacro %}

{#- The same instant counted in microseconds: no calendar of a time zone is asked, row by row. #}
{% macro duckdb__utc(expression) -%}
    make_timestamp(epoch_us({{ expression }}))
{%- endmacro %}

{% macro snowflake__utc(expression) -%}
    cast(convert_timezone('UTC', {{ expression }}) as timestamp_ntz)
{%- endmacro %}

{# White space collapsed and case folded: spellings of one name compare equal. #}
{% macro folded(expression) -%}
    {{ return(adapter.dispatch('folded', 'segue')(expression)) }}
{%- endmacro %}

{% macro default__folded(expression) -%}
    lower(trim(regexp_replace({{ expression }}, '\s+', ' ', 'g')))
{%- endmacro %}

{#- The regular expression only for names that need it: it costs ten times the rest together. #}
{% macro duckdb__folded(expression) -%}
    lower(trim(case
        when
            contains({{ expression }}, '  ')
            {%- for space in (9, 10, 12, 13) %}
            or contains({{ expression }}, chr({{ space }}))
            {%- endfor %}
            then regexp_replace({{ expression }}, '\s+', ' ', 'g')
        else {{ expression }}
    end))
{%- endmacro %}

{% macro snowflake__folded(expression) -%}
    lower(trim(regexp_replace({{ expression }}, '\\s+', ' ')))
{%- endmacro %}

{# Nothing but spaces. Text beginning with a letter is not trimmed to find out. #}
{% macro blank(expression) -%}
    ({{ expression }} < '!' and trim({{ expression }}) = '')
{%- endmacro %}

{# The last value that is not null, up to and including this row. #}
{% macro last_filled(expression, partition_by, order_by) -%}
    {{ return(adapter.dispatch('last_filled', 'segue')(expression, partition_by, order_by)) }}
{%- endmacro %}

{% macro default__last_filled(expression, partition_by, order_by) -%}
    last_value({{ expression }} ignore nulls) over (
        partition by {{ partition_by }} order by {{ order_by }}
        rows between unbounded preceding and current row
    )
{%- endmacro %}

{% macro snowflake__last_filled(expression, partition_by, order_by) -%}
    last_value({{ expression }}) ignore nulls over (
        partition by {{ partition_by }} order by {{ order_by }}
        rows between unbounded preceding and current row
    )
{%- endmacro %}

{# The first value that is not null, of the whole partition. #}
{% macro first_filled(expression, partition_by, order_by) -%}
    {{ return(adapter.dispatch('first_filled', 'segue')(expression, partition_by, order_by)) }}
{%- endmacro %}

{% macro default__first_filled(expression, partition_by, order_by) -%}
    first_value({{ expression }} ignore nulls) over (
        partition by {{ partition_by }} order by {{ order_by }}
        rows between unbounded preceding and unbounded following
    )
{%- endmacro %}

{% macro snowflake__first_filled(expression, partition_by, order_by) -%}
    first_value({{ expression }}) ignore nulls over (
        partition by {{ partition_by }} order by {{ order_by }}
        rows between unbounded preceding and unbounded following
    )
{%- endmacro %}

{# n rows numbered from 0, in column n. #}
{% macro numbers(count) -%}
    {{ return(adapter.dispatch('numbers', 'segue')(count)) }}
{%- endmacro %}

{% macro default__numbers(count) -%}
    select cast(range as bigint) as n from range({{ count }})
{%- endmacro %}

{% macro snowflake__numbers(count) -%}
    select row_number() over (order by null) - 1 as n from table(generator(rowcount => {{ count }}))
{%- endmacro %}
