-- What sources told us, one row per source and thing, as they told it. Loaded in bulk, validated by
-- the constraints below, merged by upsert: loading the same answer twice changes nothing. Identity
-- across sources is decided later, in the catalogue.
create table staged_artists (
    source      text not null,
    source_key  text not null check (source_key <> ''),
    name        text not null constraint artist_name_blank check (btrim(name) <> ''),
    mbid        uuid,
    spotify_id  text constraint artist_spotify_id check (spotify_id ~ '^[0-9A-Za-z]{22}$'),
    listeners   bigint constraint artist_listeners check (listeners >= 0),
    playcount   bigint constraint artist_playcount check (playcount >= 0),
    observed_at timestamptz not null,
    primary key (source, source_key)
);

create table staged_tracks (
    source           text not null,
    source_key       text not null check (source_key <> ''),
    artist           text not null constraint track_artist_blank check (btrim(artist) <> ''),
    title            text not null constraint track_title_blank check (btrim(title) <> ''),
    album            text,
    recording_mbid   uuid,
    isrc             text constraint track_isrc check (isrc ~ '^[A-Z]{2}[A-Z0-9]{3}[0-9]{7}$'),
    spotify_id       text constraint track_spotify_id check (spotify_id ~ '^[0-9A-Za-z]{22}$'),
    duration_ms      bigint constraint track_duration check (duration_ms between 1 and 2073600000),
    year             smallint constraint track_year check (year between 1860 and 2100),
    explicit         boolean,
    popularity       smallint constraint track_popularity check (popularity between 0 and 100),
    listeners        bigint constraint track_listeners check (listeners >= 0),
    playcount        bigint constraint track_playcount check (playcount >= 0),
    -- Audio features: shares 0 .. 1, loudness in dB, tempo in beats a minute, key as pitch class.
    danceability     real constraint track_danceability check (danceability between 0 and 1),
    energy           real constraint track_energy check (energy between 0 and 1),
    speechiness      real constraint track_speechiness check (speechiness between 0 and 1),
    acousticness     real constraint track_acousticness check (acousticness between 0 and 1),
    instrumentalness real constraint track_instrumental check (instrumentalness between 0 and 1),
    liveness         real constraint track_liveness check (liveness between 0 and 1),
    valence          real constraint track_valence check (valence between 0 and 1),
    loudness         real constraint track_loudness check (loudness between -80 and 20),
    tempo            real constraint track_tempo check (tempo > 0 and tempo < 400),
    key              smallint constraint track_key check (key between 0 and 11),
    mode             smallint constraint track_mode check (mode between 0 and 1),
    time_signature   smallint constraint track_time_signature check (time_signature between 1 and 15),
    observed_at      timestamptz not null,
    primary key (source, source_key)
);

create table staged_tags (
    source      text not null,
    kind        text not null constraint tag_kind check (kind in ('artist', 'track')),
    source_key  text not null check (source_key <> ''),
    tag         text not null constraint tag_blank check (btrim(tag) <> '' and length(tag) <= 200),
    weight      real not null constraint tag_weight check (weight >= 0),
    observed_at timestamptz not null,
    primary key (source, kind, source_key, tag)
);

create table staged_similar (
    source      text not null,
    source_key  text not null check (source_key <> ''),
    other_key   text not null check (other_key <> ''),
    score       real not null constraint similar_score check (score between 0 and 1),
    observed_at timestamptz not null,
    primary key (source, source_key, other_key)
);

-- Records nobody could use, with the reason and what was sent. The digest makes a second attempt
-- at the same bad record the same row.
create table rejected_records (
    source     text not null,
    target     text not null,
    digest     text not null,
    reason     text not null,
    detail     text not null,
    raw        text not null,
    first_seen timestamptz not null default now(),
    last_seen  timestamptz not null default now(),
    primary key (source, target, digest)
);

-- Up to which byte each archive file is staged; moves in the transaction that stages.
create table staged_through (
    source text not null,
    file   text not null,
    bytes  bigint not null,
    primary key (source, file)
);

-- Figures of every collection run, for the scorecard.
create table collection_runs (
    id          bigint generated always as identity primary key,
    source      text not null,
    what        text not null,
    started_at  timestamptz not null,
    finished_at timestamptz not null default now(),
    outcome     text not null check (outcome in ('finished', 'open', 'failed')),
    calls       bigint not null,
    attempts    bigint not null,
    failed      bigint not null,
    plays       bigint not null default 0,
    tally       jsonb not null
);

create index collection_runs_by_source on collection_runs (source, finished_at desc);
