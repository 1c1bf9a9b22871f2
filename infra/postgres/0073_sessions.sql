-- A session opened with the account's password ends when the password is changed.
alter table tokens add column by_password boolean not null default false;

-- Sessions are for scrobbling. Those whose maker is not known (opened through the browser or with a
-- password) could outlive it: they end here, and players log in once more.
update tokens set roles = '{scrobbler}' where made_by is not null;
update tokens set revoked_at = coalesce(revoked_at, now())
where made_by is null and label = 'scrobbler session';
