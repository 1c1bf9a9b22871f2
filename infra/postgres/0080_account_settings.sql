-- What the pages show a person: times in which zone, dark or light ('' follows the browser).
alter table accounts add column time_zone text not null default 'UTC'
    check (length(time_zone) between 1 and 64);
alter table accounts add column theme text not null default ''
    check (theme in ('', 'light', 'dark'));
