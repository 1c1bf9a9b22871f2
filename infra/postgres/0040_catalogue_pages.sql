-- What the API shows of the catalogue: artist and track pages, search, stations. The views are
-- materialised because a page must not add up a source's rows; `segue collect` refreshes them
-- after every run (batch/catalogue/pages.py).
insert into catalogue_sources values
    ('simulated', 'Simulated catalogue: invented names', 0.5, 'made up by Segue'),
    ('lastfm-1k', 'Last.fm 1K (Celma)', 0.5, 'non-commercial'),
    ('mpd', 'Spotify Million Playlist Dataset', 0.7, 'research, non-commercial')
on conflict do nothing;

-- Words as contracts/search.py makes them: without case, accents, punctuation. Rows of before get
-- their normalised name, which is found by the same words as long as it has no accents.
alter table catalogue_artists add column search_text text;
alter table catalogue_tracks add column search_text text;
update catalogue_artists set search_text = name_key;
update catalogue_tracks t set search_text = a.name_key || ' ' || t.title_key
from catalogue_artists a where a.artist_id = t.artist_id;
alter table catalogue_artists alter column search_text set not null;
alter table catalogue_tracks alter column search_text set not null;

create index catalogue_artists_by_root on catalogue_artists (coalesce(merged_into, artist_id));
create index catalogue_tracks_by_album on catalogue_tracks (album_id);

-- Artists alike by content: written whole by batch/content, at most a page's worth each. No
-- foreign keys: they would take half of the time, and what is gone is joined away.
create table catalogue_neighbours (
    artist_id uuid not null,
    other_id  uuid not null check (other_id <> artist_id),
    score     real not null check (score between 0 and 1.0001),
    primary key (artist_id, other_id)
);

-- An artist bears its own tags and those of its tracks. `strength` adds up sources by trust;
-- `weight` is its share of the artist's strongest.
create materialized view catalogue_artist_tags as
select artist_id, tag, strength,
    (strength / max(strength) over (partition by artist_id))::real as weight
from (
    select artist_id, tag, sum(weight * confidence)::real as strength
    from (
        select entity_id as artist_id, tag, weight, confidence
        from catalogue_tags where kind = 'artist'
        union all
        select coalesce(a.merged_into, a.artist_id), g.tag, g.weight, g.confidence
        from catalogue_tags g
        join catalogue_tracks t on t.track_id = g.entity_id
        join catalogue_artists a using (artist_id)
        where g.kind = 'track'
    ) g
    group by artist_id, tag
) s;
create unique index catalogue_artist_tags_key on catalogue_artist_tags (artist_id, tag);
create index catalogue_artist_tags_by_tag on catalogue_artist_tags (tag, weight desc);

create materialized view catalogue_track_tags as
select entity_id as track_id, tag,
    (sum(weight * confidence) / max(sum(weight * confidence)) over (partition by entity_id))::real
        as weight
from catalogue_tags where kind = 'track'
group by entity_id, tag;
create unique index catalogue_track_tags_key on catalogue_track_tags (track_id, tag);
create index catalogue_track_tags_by_tag on catalogue_track_tags (tag, weight desc);

-- One row an artist: merged names together. Popularity is the rank (0 .. 1) among the artists of a
-- source, the sources weighed by trust.
create materialized view catalogue_artist_cards as
with heard as (
    select source, source_key, percent_rank() over (
        partition by source order by coalesce(listeners, playcount)) as rank
    from staged_artists
    where coalesce(listeners, playcount) is not null
), popular as (
    select coalesce(a.merged_into, a.artist_id) as artist_id,
        sum(h.rank * coalesce(c.confidence, 0.3)) / sum(coalesce(c.confidence, 0.3)) as popularity
    from heard h
    join catalogue_links l on l.kind = 'artist' and (l.source, l.source_key) = (h.source, h.source_key)
    join catalogue_artists a on a.artist_id = l.entity_id
    left join catalogue_sources c on c.source = h.source
    group by 1
), named as (
    select coalesce(merged_into, artist_id) as artist_id,
        array_agg(name order by merged_into nulls first, name) as names,
        string_agg(search_text, ' ') as words
    from catalogue_artists
    group by 1
)
select r.artist_id, r.name, r.search_text, n.names,
    array_to_tsvector(array_remove(string_to_array(n.words, ' '), '')) as words,
    coalesce(p.popularity, 0)::real as popularity
from named n
join catalogue_artists r using (artist_id)
left join popular p using (artist_id);
create unique index catalogue_artist_cards_key on catalogue_artist_cards (artist_id);
create index catalogue_artist_cards_words on catalogue_artist_cards using gin (words);

-- One row a track: the best word of all sources on what lists and stations sort and filter by.
create materialized view catalogue_track_cards as
with heard as (
    select source, source_key, percent_rank() over (
        partition by source order by coalesce(listeners, playcount, popularity)) as rank
    from staged_tracks
    where coalesce(listeners, playcount, popularity) is not null
), told as (
    select l.entity_id, coalesce(c.confidence, 0.3) as trust, h.rank, s.*
    from staged_tracks s
    join catalogue_links l on l.kind = 'track' and (l.source, l.source_key) = (s.source, s.source_key)
    left join catalogue_sources c on c.source = s.source
    left join heard h on (h.source, h.source_key) = (s.source, s.source_key)
), best as (
    select entity_id as track_id,
        (array_agg(year order by trust desc, observed_at desc)
            filter (where year is not null))[1] as year,
        (array_agg(duration_ms order by trust desc, observed_at desc)
            filter (where duration_ms is not null))[1] as duration_ms,
        (array_agg(recording_mbid order by trust desc, observed_at desc)
            filter (where recording_mbid is not null))[1] as recording_mbid,
        (array_agg(isrc order by trust desc, observed_at desc)
            filter (where isrc is not null))[1] as isrc,
        (array_agg(spotify_id order by trust desc, observed_at desc)
            filter (where spotify_id is not null))[1] as spotify_id,
        avg(danceability)::real as danceability, avg(energy)::real as energy,
        avg(acousticness)::real as acousticness, avg(instrumentalness)::real as instrumentalness,
        avg(valence)::real as valence,
        sum(rank * trust) / sum(trust) filter (where rank is not null) as popularity
    from told
    group by entity_id
)
select t.track_id, r.artist_id, r.name as artist, t.title, b.title as album,
    t.search_text, array_to_tsvector(array_remove(string_to_array(t.search_text, ' '), '')) as words,
    d.year, d.duration_ms, d.recording_mbid, d.isrc, d.spotify_id,
    d.danceability, d.energy, d.acousticness, d.instrumentalness, d.valence,
    -- Of a track nobody counted, its artist's fame says something.
    coalesce(d.popularity, 0.5 * r.popularity)::real as popularity
from catalogue_tracks t
join catalogue_artists a using (artist_id)
join catalogue_artist_cards r on r.artist_id = coalesce(a.merged_into, a.artist_id)
left join best d using (track_id)
left join catalogue_albums b using (album_id);
create unique index catalogue_track_cards_key on catalogue_track_cards (track_id);
create index catalogue_track_cards_by_artist on catalogue_track_cards (artist_id, popularity desc);
create index catalogue_track_cards_by_year on catalogue_track_cards (year);
create index catalogue_track_cards_by_mbid on catalogue_track_cards (recording_mbid);
create index catalogue_track_cards_by_isrc on catalogue_track_cards (isrc);
create index catalogue_track_cards_by_spotify on catalogue_track_cards (spotify_id);
create index catalogue_track_cards_words on catalogue_track_cards using gin (words);

create index staged_artists_by_mbid on staged_artists (mbid) where mbid is not null;
create index staged_artists_by_spotify on staged_artists (spotify_id) where spotify_id is not null;
