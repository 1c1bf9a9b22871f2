-- What the pages show a person: times in which zone, dark or light ('' follows the browser).
alter table accounts add column time_zone text not null default 'UTC'
    check (length(time_zone) between 1 and 64);
alter table accounts add column theme text not null default ''
    check (theme in ('', 'light', 'dark'));

create view account_settings_v1 as
select user_id, time_zone, theme from accounts;

-- Changes what is given; null leaves a setting as it is.
create function set_account_settings(of_user text, new_zone text, new_theme text)
returns table (time_zone text, theme text)
language sql volatile
begin atomic
    update accounts a set time_zone = coalesce(new_zone, a.time_zone),
        theme = coalesce(new_theme, a.theme)
    where a.user_id = of_user returning a.time_zone, a.theme;
end;
