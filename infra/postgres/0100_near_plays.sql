-- Reports of one recording by a listener, under one number for both (streams.nearby asks by it).
-- With the listener's id as a column of its own the planner could choose another index that begins
-- with the id, and read all plays of the listener for each new one: it did so where most listeners
-- had one play, and an import of 17,000 plays took 71 s instead of 0.3 s.
drop index plays_by_recording;
drop index merged_plays_by_recording;
create index plays_by_recording on plays (hashtextextended(user_id, name_key), played_at);
create index merged_plays_by_recording
on merged_plays (hashtextextended(user_id, name_key), played_at);
