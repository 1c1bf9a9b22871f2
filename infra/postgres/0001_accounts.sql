-- Who may do what. Tokens are random 32-byte values shown once; only their SHA-256 is kept.
create table accounts (
    user_id       text primary key check (user_id <> '' and length(user_id) <= 256),
    password_hash text,
    created_at    timestamptz not null default now()
);

create table tokens (
    token_hash bytea primary key check (octet_length(token_hash) = 32),
    user_id    text not null references accounts on delete cascade,
    roles      text[] not null
        check (roles <@ array['listener', 'client', 'analyst', 'admin'] and cardinality(roles) > 0),
    label      text not null default '',
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

create index tokens_by_user on tokens (user_id);
