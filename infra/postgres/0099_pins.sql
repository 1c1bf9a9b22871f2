-- Pins: the one recording that a listener shows at a time, and earlier ones.
create table pins (
    row_id bigint generated always as identity primary key,
    user_id text not null,
    recording_mbid uuid,
    artist text not null,
    title text not null,
    blurb text,
    created_at timestamptz not null default now(),
    pinned_until timestamptz not null
);
create index pins_of_listener on pins (user_id, created_at desc);

create view pins_v1 as
select user_id, row_id, recording_mbid, artist, title, blurb, created_at, pinned_until from pins;

-- Pins a recording in place of the one before.
create function pin_recording(
    of_user text, mbid uuid, by_artist text, named text, about text, until timestamptz
) returns table (new_id bigint, made_at timestamptz)
language sql volatile security definer
begin atomic
    update pins set pinned_until = now() where user_id = of_user and pinned_until > now();
    insert into pins (user_id, recording_mbid, artist, title, blurb, pinned_until)
    values (of_user, mbid, by_artist, named, about, until)
    returning pins.row_id, pins.created_at;
end;

-- Ends the pin of now; returns how many that were (0 or 1).
create function unpin_recording(of_user text) returns bigint
language sql volatile security definer
begin atomic
    with ended as (
        update pins set pinned_until = now() where user_id = of_user and pinned_until > now()
        returning 1
    )
    select count(*) from ended;
end;

-- Deletes a pin; returns how many that were (0 or 1).
create function delete_pin(of_user text, of_row bigint) returns bigint
language sql volatile security definer
begin atomic
    with gone as (delete from pins where user_id = of_user and row_id = of_row returning 1)
    select count(*) from gone;
end;
