{# Surrogate keys of members known by name only, and the member every unknown one points at. #}

{% macro unknown() -%} '-1' {%- endmacro %}

{# Of a namesake (int_namesakes) the key has its MusicBrainz id too; a null id changes nothing. #}
{% macro artist_key(artist, namesake='null') -%}
    md5({{ folded(artist) }}{{ _of_namesake(namesake) }})
{%- endmacro %}

{% macro _of_namesake(namesake) -%}
    {%- if namesake != 'null' %} || coalesce('|' || {{ namesake }}, ''){% endif -%}
{%- endmacro %}

{# Joins `namesakes`: its artist_mbid is null for plays that keep the key of the artist's name. #}
{% macro join_namesakes(plays) -%}
    left join {{ ref('int_namesakes') }} as namesakes
        on
            {{ plays }}.artist_mbid = namesakes.artist_mbid
            and {{ folded(plays ~ '.artist') }} = namesakes.artist_fold
{%- endmacro %}

{# One song under several public ids has one key; as unsure as its names are. #}
{% macro song_key(artist, title) -%}
    md5({{ folded(artist) }} || '|' || {{ folded(title) }})
{%- endmacro %}

{# An album of an artist; of a compilation the artist is 'various artists'. #}
{% macro album_key(artist, album, namesake='null') -%}
    case
        when {{ album }} is null then {{ unknown() }}
        else md5({{ folded(artist) }}{{ _of_namesake(namesake) }} || '|' || {{ folded(album) }})
    end
{%- endmacro %}

{# The name without guests, of a name that is folded already: whose album it is. #}
{% macro without_guests(folded_name) -%}
    {{ return(adapter.dispatch('without_guests', 'segue')(folded_name)) }}
{%- endmacro %}

{% macro default__without_guests(folded_name) -%}
    regexp_replace({{ folded_name }}, ' [(\[]?(feat|ft|featuring|with|vs)[. ].*$', '')
{%- endmacro %}

{% macro snowflake__without_guests(folded_name) -%}
    regexp_replace({{ folded_name }}, ' [(\\[]?(feat|ft|featuring|with|vs)[. ].*$', '')
{%- endmacro %}

{# Whether a folded name is one that many albums have. #}
{% macro is_common_album(album_fold) -%}
    ({{ album_fold }} in (
        'greatest hits', 'the greatest hits', 'best of', 'the best of', 'the very best of', 'hits',
        'the hits', 'live', 'live album', 'unplugged', 'mtv unplugged', 'singles', 'the singles',
        'single', 'demo', 'demos', 'anthology', 'the collection', 'collection', 'gold', 'essential',
        'the essential', 'the essentials', 'essentials', 'ep', 'remixes', 'the remixes',
        'untitled', 'self-titled', 's/t', 'unknown', 'unknown album', '<unknown>', '[unknown]',
        'christmas', 'acoustic', 'b-sides', 'rarities', 'covers', 'debut', 'i', 'ii', 'iii'
    ))
{%- endmacro %}
