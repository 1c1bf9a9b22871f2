-- Search answers in the time one looks at a page, whatever is typed and however large the catalogue.
-- What many things match is read in order of popularity until a page is full; what few match comes
-- from the words (GIN) or from the beginning of the name (api/catalogue/find.py).
create index catalogue_artist_cards_by_fame
    on catalogue_artist_cards (popularity desc, search_text, artist_id);
create index catalogue_artist_cards_by_text on catalogue_artist_cards (search_text collate "C");
create index catalogue_track_cards_by_fame
    on catalogue_track_cards (popularity desc, search_text, track_id);
create index catalogue_track_cards_by_text on catalogue_track_cards (search_text collate "C");

-- Words of a track's names, and as lexemes of their own (behind "^", which no word begins with) the
-- first letter and the first two of each: GIN would gather all that so short a beginning stands for.
create function catalogue_words(names text) returns tsvector
    language sql immutable strict parallel safe as $$
    select array_to_tsvector(array(
        select distinct form
        from unnest(string_to_array(names, ' ')) word,
            lateral (values (word), ('^' || left(word, 1)), ('^' || left(word, 2))) f (form)
        where word <> ''))
$$;
drop index catalogue_track_cards_words;
create index catalogue_track_cards_words
    on catalogue_track_cards using gin (catalogue_words(search_text));

-- The names of a play in other words (contracts/recordings.py): how a scrobbler's names find their
-- track. Tracks of before get theirs with the next collection.
alter table catalogue_tracks add column recording_key text;
create index catalogue_tracks_by_recording on catalogue_tracks (recording_key);
create index catalogue_tracks_unnamed on catalogue_tracks (track_id) where recording_key is null;

-- Every spelling of the artist a normalised name leads to, merges followed.
create function catalogue_spellings(artist_key text) returns setof text language sql stable as $$
    select other.name
    from catalogue_artists a
    join catalogue_artists other
        on coalesce(other.merged_into, other.artist_id) = coalesce(a.merged_into, a.artist_id)
    where a.name_key = artist_key
$$;

-- The track that normalised names lead to: by these names, or as the same recording in other words,
-- the plainest title first. What a person called two artists stays two.
create function catalogue_track_named(artist_key text, named text, recordings text[])
returns uuid language sql stable as $$
    select t.track_id
    from catalogue_tracks t
    join catalogue_artists a using (artist_id)
    where t.recording_key = any(recordings) and not exists (
        select from catalogue_candidates c
        join catalogue_artists asked on asked.name_key = artist_key
        where c.decision = 'distinct' and (c.left_id, c.right_id)
            = (least(a.artist_id, asked.artist_id), greatest(a.artist_id, asked.artist_id)))
    order by t.title_key <> named, a.name_key <> artist_key, length(t.title_key), t.track_id
    limit 1
$$;

-- How many times something was staged or decided, and up to which of them pages, vectors and lake
-- follow. The first moves in the transaction that stages, the second when all the rest is done
-- (batch/catalogue/settle.py): what a killed run leaves undone, the next one does.
create table catalogue_state (
    one     boolean primary key default true check (one),
    staged  bigint not null,
    settled bigint not null
);
insert into catalogue_state (staged, settled) values (1, 0);
