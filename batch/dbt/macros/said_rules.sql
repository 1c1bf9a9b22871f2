{# Why a track shown, or a word of feedback, cannot be used: reason -> condition. Times are plain
   timestamps in UTC. #}

{% macro impression_rules() -%}
    {{
        return({
            'bad-impression-id': "length(impression_id) <> 36",
            'no-user': "trim(user_id) = ''",
            'no-track': "position >= 0 and trim(coalesce(track_id, '')) = ''",
            'bad-propensity': "position >= 0 and not coalesce(propensity > 0 and propensity <= 1, false)",
            'too-old': "shown_at < " ~ first_play(),
            'future': "shown_at > " ~ dbt.dateadd('hour', clock_skew_hours(), 'landed_at'),
        })
    }}
{%- endmacro %}

{% macro feedback_rules() -%}
    {{
        return({
            'no-user': "trim(user_id) = ''",
            'unknown-kind': "kind not in ('love', 'hate', 'hide', 'undo', 'erase')",
            'no-track': "kind <> 'erase' and (trim(artist) = '' or trim(title) = '')",
            'too-old': "given_at < " ~ first_play(),
            'future': "given_at > " ~ dbt.dateadd('hour', clock_skew_hours(), 'landed_at'),
        })
    }}
{%- endmacro %}

{# Every rule a row breaks, by name, separated by spaces; empty where it keeps all. #}
{% macro broken_rules(rules) -%}
    trim(
        {%- for reason, broken in rules.items() %}
        {{ "|| " if not loop.first }}case when {{ broken }} then '{{ reason }} ' else '' end
        {%- endfor %}
    )
{%- endmacro %}
