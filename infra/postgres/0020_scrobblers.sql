-- Last.fm's protocols prove a password by md5 (authToken) or by a challenge (Audioscrobbler 1.2),
-- so a token that such players may use keeps the md5 of its text besides its SHA-256. It is kept
-- only where asked for (`segue keys create --scrobbler`), and is worth no more than scrobbling:
-- tokens are random, so the md5 does not lead back to them.
alter table tokens add column scrobbler_md5 text
    check (scrobbler_md5 ~ '^[0-9a-f]{32}$');

-- A session is a token that another token (or the account's password) made; it ends with it.
alter table tokens add column made_by bytea references tokens on delete cascade;
create index tokens_by_maker on tokens (made_by) where made_by is not null;
