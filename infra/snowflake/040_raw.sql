-- RAW is append-only: one row a delivery, with its place in the log and its file. The columns are
-- those of contracts/lake.py plus load metadata; tests compare them. Times are instants.
use role SYSADMIN;

create stage if not exists ${database}.RAW.LANDING
    comment = 'Files named by topic, log, partition and range of offsets';

create stage if not exists ${database}.RAW.BATCH
    comment = 'Files of the nightly, for as long as it takes to copy them';

create table if not exists ${database}.RAW.QUARANTINE (
    source_file varchar not null,
    target varchar not null,
    rows_in_file number(19, 0) not null,
    reason varchar not null,
    attempts number(10, 0) not null,
    quarantined_at timestamp_ltz(3) not null
)
    comment = 'Files that could not be loaded, and why; they stay in the stage';

create table if not exists ${database}.RAW.PLAYS (
    event_id varchar not null,
    user_id varchar not null,
    track_id varchar not null,
    artist varchar not null,
    title varchar not null,
    album varchar,
    played_at timestamp_ltz(3) not null,
    received_at timestamp_ltz(3) not null,
    ms_played number(19, 0),
    duration_ms number(19, 0),
    skipped boolean,
    reason_end varchar,
    source varchar not null,
    session_hint varchar,
    impression_id varchar,
    extra varchar,
    log_id varchar not null,
    kafka_partition number(10, 0) not null,
    kafka_offset number(19, 0) not null,
    position number(10, 0) not null,
    landed_at timestamp_ltz(3) not null,
    landed_date date not null,
    source_file varchar not null comment 'Path in the landing stage',
    file_row number(19, 0) comment 'Row of the file, from Snowpipe',
    loaded_at timestamp_ltz(3) comment 'When Snowpipe began to read the file'
)
    comment = 'One row a delivery of a play';

create table if not exists ${database}.RAW.FEEDBACK (
    user_id varchar not null,
    kind varchar not null,
    given_at timestamp_ltz(3) not null,
    track_id varchar not null,
    artist varchar not null,
    title varchar not null,
    source varchar not null,
    log_id varchar not null,
    kafka_partition number(10, 0) not null,
    kafka_offset number(19, 0) not null,
    position number(10, 0) not null,
    landed_at timestamp_ltz(3) not null,
    landed_date date not null,
    source_file varchar not null comment 'Path in the landing stage',
    file_row number(19, 0) comment 'Row of the file, from Snowpipe',
    loaded_at timestamp_ltz(3) comment 'When Snowpipe began to read the file'
)
    comment = 'One row a love, hate, hide or undo';

create table if not exists ${database}.RAW.IMPRESSIONS (
    impression_id varchar not null,
    user_id varchar not null,
    shown_at timestamp_ltz(3) not null,
    generation number(19, 0) not null,
    log_offset number(19, 0) not null,
    arm varchar not null,
    mode varchar not null,
    degraded boolean not null,
    track_id varchar,
    score float,
    propensity float,
    features array,
    log_id varchar not null,
    kafka_partition number(10, 0) not null,
    kafka_offset number(19, 0) not null,
    position number(10, 0) not null,
    landed_at timestamp_ltz(3) not null,
    landed_date date not null,
    source_file varchar not null comment 'Path in the landing stage',
    file_row number(19, 0) comment 'Row of the file, from Snowpipe',
    loaded_at timestamp_ltz(3) comment 'When Snowpipe began to read the file'
)
    comment = 'One row a track shown';

create pipe if not exists ${database}.RAW.PLAYS_PIPE
    comment = 'Called by the landing sink'
    as copy into ${database}.RAW.PLAYS
    from @${database}.RAW.LANDING
    file_format = (type = parquet use_logical_type = true)
    match_by_column_name = case_insensitive
    include_metadata = (file_row = METADATA$$FILE_ROW_NUMBER, loaded_at = METADATA$$START_SCAN_TIME);

create pipe if not exists ${database}.RAW.FEEDBACK_PIPE
    comment = 'Called by the landing sink'
    as copy into ${database}.RAW.FEEDBACK
    from @${database}.RAW.LANDING
    file_format = (type = parquet use_logical_type = true)
    match_by_column_name = case_insensitive
    include_metadata = (file_row = METADATA$$FILE_ROW_NUMBER, loaded_at = METADATA$$START_SCAN_TIME);

create pipe if not exists ${database}.RAW.IMPRESSIONS_PIPE
    comment = 'Called by the landing sink'
    as copy into ${database}.RAW.IMPRESSIONS
    from @${database}.RAW.LANDING
    file_format = (type = parquet use_logical_type = true)
    match_by_column_name = case_insensitive
    include_metadata = (file_row = METADATA$$FILE_ROW_NUMBER, loaded_at = METADATA$$START_SCAN_TIME);

-- What is not in the log: the nightly appends it, and staging reads the newest version.
create table if not exists ${database}.RAW.PLAY_MERGES (
    id number(19, 0) not null,
    event_id varchar not null,
    head_id varchar,
    changed_at timestamp_ltz(6) not null,
    source_file varchar not null comment 'Path in the stage BATCH',
    file_row number(19, 0) comment 'Row of the file',
    loaded_at timestamp_ltz(3) comment 'When the file was read'
)
    comment = 'Which play is counted as part of which other; the last word on an event counts';

create table if not exists ${database}.RAW.EXPERIMENT_ARMS (
    experiment varchar not null,
    layer varchar not null,
    hypothesis varchar not null,
    metric varchar not null,
    guardrails varchar not null comment 'Names, joined by commas',
    arm varchar not null,
    position number(10, 0) not null comment '0 is the control',
    weight float not null,
    started_at timestamp_ltz(3) not null,
    planned_end timestamp_ltz(3) not null,
    ended_at timestamp_ltz(3),
    landed_at timestamp_ltz(3) not null comment 'Tells versions apart',
    source_file varchar not null comment 'Path in the stage BATCH',
    file_row number(19, 0) comment 'Row of the file',
    loaded_at timestamp_ltz(3) comment 'When the file was read'
)
    comment = 'Arms of started experiments';

create table if not exists ${database}.RAW.CATALOGUE_ARTISTS (
    name varchar not null,
    artist_id varchar not null,
    genre varchar,
    tags varchar not null,
    popularity float not null,
    sources varchar not null,
    landed_at timestamp_ltz(3) not null comment 'Tells versions of the catalogue apart',
    landed_date date not null,
    source_file varchar not null comment 'Path in the stage BATCH',
    file_row number(19, 0) comment 'Row of the file',
    loaded_at timestamp_ltz(3) comment 'When the file was read'
)
    comment = 'Every name of an artist with genre, tags and popularity';

create table if not exists ${database}.RAW.CATALOGUE_TRACKS (
    track_id varchar not null,
    artist varchar not null,
    title varchar not null,
    album varchar,
    genre varchar,
    year number(10, 0),
    duration_ms number(19, 0),
    recording_mbid varchar,
    isrc varchar,
    spotify_id varchar,
    popularity float not null,
    danceability float,
    energy float,
    acousticness float,
    instrumentalness float,
    valence float,
    landed_at timestamp_ltz(3) not null comment 'Tells versions of the catalogue apart',
    landed_date date not null,
    source_file varchar not null comment 'Path in the stage BATCH',
    file_row number(19, 0) comment 'Row of the file',
    loaded_at timestamp_ltz(3) comment 'When the file was read'
)
    comment = 'Every track of the catalogue with genre, year and audio features';
