-- Files that listeners upload. The worker `importer` reads them; a row says how far it is.
create table imports (
    id            uuid primary key,
    user_id       text not null,
    name          text not null,
    bytes         bigint not null check (bytes > 0),
    sha256        bytea not null,
    private       boolean not null default false,
    state         text not null default 'waiting'
        check (state in ('waiting', 'running', 'done', 'failed')),
    read_bytes    bigint not null default 0,
    kept          bigint not null default 0,
    dropped       jsonb not null default '{}',
    rejected      jsonb not null default '{}',
    formats       text[] not null default '{}',
    notes         text[] not null default '{}',
    examples      jsonb not null default '[]',
    rejects       text not null default '',
    problem       text not null default '',
    reason        text not null default '',
    requested_at  timestamptz not null default now(),
    finished_at   timestamptz
);

-- The same file of a listener is imported once. One that failed may be tried again.
create unique index imports_once on imports (user_id, sha256, private) where state <> 'failed';
create index imports_open on imports (requested_at) where state in ('waiting', 'running');
create index imports_of_user on imports (user_id, requested_at desc);

create view imports_v1 as
select id, user_id, name, bytes, state, read_bytes, kept, dropped, rejected, formats, notes,
    examples, rejects, problem, reason, requested_at, finished_at
from imports;

-- Puts an upload on record and returns its id, or the id of the same file where there is one.
create function ask_import(
    new_id uuid, of_user text, file_name text, size bigint, digest bytea, with_private boolean
) returns uuid
language sql volatile
begin atomic
    insert into imports (id, user_id, name, bytes, sha256, private)
    values (new_id, of_user, file_name, size, digest, with_private)
    on conflict (user_id, sha256, private) where state <> 'failed' do nothing;
    select id from imports
    where user_id = of_user and sha256 = digest and private = with_private and state <> 'failed'
    order by requested_at desc limit 1;
end;
