-- Where an importer of another service stopped (ListenBrainz's latest-import).
create table latest_imports (
    user_id text not null references accounts on delete cascade,
    service text not null,
    latest  bigint not null,
    primary key (user_id, service)
);
