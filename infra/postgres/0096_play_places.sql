-- Where in the log a play of the history comes from: the other folds say how far they are in it.
create view play_places_v1 as
select p.user_id, p.event_id, f.log_id, f.partition, p.place % 1099511627776 as log_offset
from plays p join history_fence f on f.number = p.place / 1099511627776;
