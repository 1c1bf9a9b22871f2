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

{# A name folded as everything else folds it (contracts/folding.py). #}
{% macro folded(expression) -%}
    {{ return(adapter.dispatch('folded', 'segue')(expression)) }}
{%- endmacro %}

{#- Plain ASCII names, which most are, need no Python: it costs three times as much. #}
{% macro default__folded(expression) -%}
    (case
        when
            strlen({{ expression }}) = length({{ expression }})
            and not regexp_matches({{ expression }}, '[\x00-\x1f\x7f]|  ')
            then lower(trim({{ expression }}))
        else fold_name({{ expression }})
    end)
{%- endmacro %}

{% macro snowflake__folded(expression) -%}
    {{ target.database }}.governance.fold_name_{{ fold_version() }}({{ expression }})
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

{# The MusicBrainz id of the artist who is named first, where the client sends one. #}
{% macro artist_mbid(extra) -%}
    {{ return(adapter.dispatch('artist_mbid', 'segue')(extra)) }}
{%- endmacro %}

{#- JSON is read only where the word occurs. -#}
{% macro default__artist_mbid(extra) -%}
    case
        when contains({{ extra }}, '"artist_mbids"')
            and length(json_extract_string({{ extra }}, '$.artist_mbids[0]')) = 36
            then lower(json_extract_string({{ extra }}, '$.artist_mbids[0]'))
    end
{%- endmacro %}

{% macro snowflake__artist_mbid(extra) -%}
    case
        when length(try_parse_json({{ extra }}):artist_mbids[0]::varchar) = 36
            then lower(try_parse_json({{ extra }}):artist_mbids[0]::varchar)
    end
{%- endmacro %}

{# The artist of the album, where the client names one beside the track's (ListenBrainz). #}
{% macro album_artist(extra) -%}
    {{ return(adapter.dispatch('album_artist', 'segue')(extra)) }}
{%- endmacro %}

{#- Few clients send it: JSON is read only where the word occurs. #}
{% macro default__album_artist(extra) -%}
    case
        when contains({{ extra }}, 'release_artist_name')
            then nullif(trim(json_extract_string({{ extra }}, '$.release_artist_name')), '')
    end
{%- endmacro %}

{% macro snowflake__album_artist(extra) -%}
    nullif(trim(try_parse_json({{ extra }}):release_artist_name::varchar), '')
{%- endmacro %}
