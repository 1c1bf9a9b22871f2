{# Why a delivery cannot be used: reason -> condition. Times are plain timestamps in UTC. #}
{% macro play_rules(played_at='played_at', received_at='received_at') -%}
    {{
        return({
            'bad-event-id': "length(event_id) <> 36",
            'no-user': blank('user_id'),
            'no-track': blank('track_id'),
            'no-artist': blank('artist'),
            'no-title': blank('title'),
            'too-old': played_at ~ " < " ~ first_play(),
            'future': played_at ~ " > " ~ dbt.dateadd(
                'hour', clock_skew_hours(), received_at
            ),
            'negative-ms-played': "coalesce(ms_played, 0) < 0",
            'negative-duration': "coalesce(duration_ms, 0) < 0",
        })
    }}
{%- endmacro %}
