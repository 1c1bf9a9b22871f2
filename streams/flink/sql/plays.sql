-- Each play once: the first delivery counts. By processing time, so that the result only ever
-- appends, which windows and patterns need. The state is bounded (table.exec.state.ttl): a second
-- delivery that comes later than that is late by rule and never gets here.
CREATE TEMPORARY VIEW first_deliveries AS
SELECT user_id, event_id, track_id, artist_id, artist, title, played_at, heard, trace
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id, event_id ORDER BY seen ASC) AS delivery
  FROM timely
)
WHERE delivery = 1
