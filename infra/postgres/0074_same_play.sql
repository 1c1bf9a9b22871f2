-- One play once: overlap decides, for reports of one client too (docs/adr/0014).

-- Which version of the function made plays.name_key; the history sink brings old rows to it.
create table recording_keys (version integer not null);

-- Reports of one recording by a listener are looked for around every new one.
create index plays_by_recording on plays (user_id, name_key, played_at);
create index merged_plays_by_recording on merged_plays (user_id, name_key, played_at);

-- Spotify's account data know the minute only: a client of its own beside the extended history.
update plays set clients = array['spotify-export/account']
where source = 'spotify-export/account' and clients = array['spotify-export'];
update merged_plays set clients = array['spotify-export/account']
where source = 'spotify-export/account' and clients = array['spotify-export'];

-- It told whether a listener had several clients, without which nothing was looked at.
drop table listener_clients;
