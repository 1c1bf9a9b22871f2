-- The catalogue decides one thing: which staged rows speak of the same artist, track or album.
-- What is known of an entity stays in the staging tables, with its source; the views below bring
-- both together, best source first. Identities come from names (contracts/ids.py), so that the
-- names a scrobbler sends lead to the same entity; rows merged by review point to the one kept.
create table catalogue_sources (
    source     text primary key,
    title      text not null,
    confidence real not null check (confidence between 0 and 1),
    terms      text not null
);

insert into catalogue_sources values
    ('listenbrainz', 'ListenBrainz and MusicBrainz', 0.95, 'CC0'),
    ('spotify', 'Spotify Web API', 0.9, 'Spotify developer terms'),
    ('kaggle-spotify', 'Kaggle: Spotify Tracks Dataset', 0.8, 'ODbL'),
    ('lastfm', 'Last.fm API', 0.7, 'Last.fm API terms, non-commercial'),
    ('hetrec', 'HetRec 2011 Last.fm-2k', 0.6, 'non-commercial, cite Cantador et al. 2011'),
    ('msd', 'Million Song Dataset subset', 0.6, 'research');

create table catalogue_artists (
    artist_id   uuid primary key,
    name        text not null,
    name_key    text not null unique,
    merged_into uuid references catalogue_artists check (merged_into <> artist_id)
);

create table catalogue_albums (
    album_id  uuid primary key,
    artist_id uuid not null references catalogue_artists,
    title     text not null,
    title_key text not null,
    unique (artist_id, title_key)
);

create table catalogue_tracks (
    track_id  uuid primary key,
    artist_id uuid not null references catalogue_artists,
    album_id  uuid references catalogue_albums,
    title     text not null,
    title_key text not null,
    unique (artist_id, title_key)
);

-- Which staged row speaks of which entity.
create table catalogue_links (
    kind       text not null check (kind in ('artist', 'track')),
    source     text not null,
    source_key text not null,
    entity_id  uuid not null,
    primary key (kind, source, source_key)
);

create index catalogue_links_by_entity on catalogue_links (kind, entity_id);

-- Two artists that may be one, to be reviewed: evidence first, decision when somebody (or a rule
-- that needs no judgement) has made one. A decision is never changed by a later run.
create table catalogue_candidates (
    left_id    uuid not null references catalogue_artists,
    right_id   uuid not null references catalogue_artists,
    score      real not null check (score between 0 and 1),
    evidence   jsonb not null,
    decision   text not null default 'pending'
        check (decision in ('pending', 'merge', 'distinct')),
    decided_by text,
    decided_at timestamptz,
    primary key (left_id, right_id),
    check (left_id < right_id)
);

-- Public ids of artists and tracks, from every source.
create view catalogue_identities as
select 'artist' as kind, l.entity_id, i.scheme, i.value, s.source
from staged_artists s
join catalogue_links l on l.kind = 'artist' and (l.source, l.source_key) = (s.source, s.source_key)
cross join lateral (values ('mbid', s.mbid::text), ('spotify', s.spotify_id)) i (scheme, value)
where i.value is not null
union all
select 'track', l.entity_id, i.scheme, i.value, s.source
from staged_tracks s
join catalogue_links l on l.kind = 'track' and (l.source, l.source_key) = (s.source, s.source_key)
cross join lateral (values
    ('mbid', s.recording_mbid::text), ('isrc', s.isrc), ('spotify', s.spotify_id)
) i (scheme, value)
where i.value is not null;

-- Every field a source knows, with where it comes from and how far to trust it.
create view catalogue_facts as
select 'artist' as kind, coalesce(a.merged_into, a.artist_id) as entity_id, f.field, f.value,
    s.source, coalesce(c.confidence, 0.3) as confidence, s.observed_at
from staged_artists s
join catalogue_links l on l.kind = 'artist' and (l.source, l.source_key) = (s.source, s.source_key)
join catalogue_artists a on a.artist_id = l.entity_id
left join catalogue_sources c on c.source = s.source
cross join lateral jsonb_each(
    jsonb_strip_nulls(to_jsonb(s) - array['source', 'source_key', 'observed_at'])
) f (field, value)
union all
select 'track', l.entity_id, f.field, f.value, s.source, coalesce(c.confidence, 0.3), s.observed_at
from staged_tracks s
join catalogue_links l on l.kind = 'track' and (l.source, l.source_key) = (s.source, s.source_key)
left join catalogue_sources c on c.source = s.source
cross join lateral jsonb_each(
    jsonb_strip_nulls(to_jsonb(s) - array['source', 'source_key', 'observed_at'])
) f (field, value);

-- The best word on every field: the most trusted source, then the newest.
create view catalogue_best_facts as
select distinct on (kind, entity_id, field)
    kind, entity_id, field, value, source, confidence, observed_at
from catalogue_facts
order by kind, entity_id, field, confidence desc, observed_at desc, source;

-- Tags of artists and tracks. Weights are made shares of the item's strongest tag at that source,
-- because one source counts people and another gives per cents.
create view catalogue_tags as
select t.kind, coalesce(a.merged_into, l.entity_id) as entity_id, t.tag, t.source,
    t.weight / max(t.weight) over (partition by t.kind, t.source, t.source_key) as weight,
    coalesce(c.confidence, 0.3) as confidence
from staged_tags t
join catalogue_links l on (l.kind, l.source, l.source_key) = (t.kind, t.source, t.source_key)
left join catalogue_artists a on t.kind = 'artist' and a.artist_id = l.entity_id
left join catalogue_sources c on c.source = t.source
where t.weight > 0;
