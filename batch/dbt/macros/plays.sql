{# Written by `python -m batch.dbt_macros` from contracts/plays.py: do not edit. #}

{% macro session_gap_seconds() -%}
    1800
{%- endmacro %}

{% macro clock_skew_hours() -%}
    24
{%- endmacro %}

{% macro first_play() -%}
    cast('2002-01-01' as timestamp)
{%- endmacro %}

{% macro fold_version() -%}
    2
{%- endmacro %}

{% macro is_placeholder(artist, title) -%}
    ({{ folded(artist) }} in ('(artist unknown)', '(n/a)', '(no artist)', '(no title)', '(none)', '(null)', '(unbekannter interpret)', '(undefined)', '(unknown artist)', '(unknown interpreter)', '(unknown)', '<artist unknown>', '<n/a>', '<no artist>', '<no title>', '<none>', '<null>', '<unbekannter interpret>', '<undefined>', '<unknown artist>', '<unknown interpreter>', '<unknown>', '[artist unknown]', '[n/a]', '[no artist]', '[no title]', '[none]', '[null]', '[unbekannter interpret]', '[undefined]', '[unknown artist]', '[unknown interpreter]', '[unknown]', 'artist unknown', 'unbekannter interpret', 'unknown artist', 'unknown interpreter')
    or {{ folded(title) }} in ('(n/a)', '(no artist)', '(no title)', '(none)', '(null)', '(track unknown)', '(undefined)', '(unknown song)', '(unknown title)', '(unknown track)', '(unknown)', '(untitled track)', '<n/a>', '<no artist>', '<no title>', '<none>', '<null>', '<track unknown>', '<undefined>', '<unknown song>', '<unknown title>', '<unknown track>', '<unknown>', '<untitled track>', '[n/a]', '[no artist]', '[no title]', '[none]', '[null]', '[track unknown]', '[undefined]', '[unknown song]', '[unknown title]', '[unknown track]', '[unknown]', '[untitled track]', 'track unknown', 'unknown song', 'unknown title', 'unknown track', 'untitled track'))
{%- endmacro %}

{% macro known_length(duration_ms='duration_ms') -%}
    (case when {{ duration_ms }} between 1000 and 43200000 then {{ duration_ms }} end)
{%- endmacro %}

{% macro heard_percent(ms_played='ms_played', duration_ms='duration_ms', is_skipped='is_skipped') -%}
    (case
    when {{ ms_played }} >= 0 and (case when {{ duration_ms }} between 1000 and 43200000 then {{ duration_ms }} end) is not null
        then least(100, cast(floor(100.0 * {{ ms_played }} / (case when {{ duration_ms }} between 1000 and 43200000 then {{ duration_ms }} end)) as bigint))
    when {{ ms_played }} >= 0 and (coalesce({{ is_skipped }}, false) or {{ ms_played }} < 30000)
        then least(100, cast(floor(100.0 * {{ ms_played }} / 240000) as bigint))
    when {{ is_skipped }} then 10
    when not {{ is_skipped }} then 100
end)
{%- endmacro %}

{% macro was_skipped(ms_played='ms_played', duration_ms='duration_ms', is_skipped='is_skipped') -%}
    coalesce({{ is_skipped }}, (case
    when {{ ms_played }} >= 0 and (case when {{ duration_ms }} between 1000 and 43200000 then {{ duration_ms }} end) is not null
        then least(100, cast(floor(100.0 * {{ ms_played }} / (case when {{ duration_ms }} between 1000 and 43200000 then {{ duration_ms }} end)) as bigint))
    when {{ ms_played }} >= 0 and (coalesce({{ is_skipped }}, false) or {{ ms_played }} < 30000)
        then least(100, cast(floor(100.0 * {{ ms_played }} / 240000) as bigint))
    when {{ is_skipped }} then 10
    when not {{ is_skipped }} then 100
end) < 30)
{%- endmacro %}

{% macro heard_ms(ms_played='ms_played', duration_ms='duration_ms', is_skipped='is_skipped') -%}
    (case
    when coalesce({{ ms_played }}, -1) < 0
        then case when coalesce({{ is_skipped }}, false) then null else (case when {{ duration_ms }} between 1000 and 43200000 then {{ duration_ms }} end) end
    when (case when {{ duration_ms }} between 1000 and 43200000 then {{ duration_ms }} end) is not null then least({{ ms_played }}, (case when {{ duration_ms }} between 1000 and 43200000 then {{ duration_ms }} end))
    when {{ ms_played }} <= 43200000 then {{ ms_played }}
end)
{%- endmacro %}

{% macro is_counted(ms_played='ms_played', duration_ms='duration_ms', is_skipped='is_skipped') -%}
    (case
    when {{ ms_played }} >= 0 then {{ ms_played }} >= least(30000, coalesce(cast(floor((case when {{ duration_ms }} between 1000 and 43200000 then {{ duration_ms }} end) / 2.0) as bigint), 30000))
    else not coalesce({{ is_skipped }}, false)
end)
{%- endmacro %}
