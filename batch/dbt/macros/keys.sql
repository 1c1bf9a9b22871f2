{# Surrogate keys of members known by name only, and the member every unknown one points at. #}

{% macro unknown() -%} '-1' {%- endmacro %}

{% macro artist_key(artist) -%}
    md5({{ folded(artist) }})
{%- endmacro %}

{# One song under several public ids has one key; as unsure as its names are. #}
{% macro song_key(artist, title) -%}
    md5({{ folded(artist) }} || '|' || {{ folded(title) }})
{%- endmacro %}

{% macro album_key(artist, album) -%}
    case
        when {{ album }} is null then {{ unknown() }}
        else md5({{ folded(artist) }} || '|' || {{ folded(album) }})
    end
{%- endmacro %}
