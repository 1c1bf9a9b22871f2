-- Flink joins windows that touch, so the gap here is a millisecond shorter.
CREATE TEMPORARY VIEW counted_sessions AS
SELECT user_id, MIN(played_at) AS started_at, MAX(played_at) AS last_played_at,
  COUNT(*) AS plays, COUNT(DISTINCT track_id) AS tracks
FROM TABLE(SESSION(TABLE plays PARTITION BY user_id, DESCRIPTOR(`at`), ${gap}))
GROUP BY user_id, window_start, window_end
