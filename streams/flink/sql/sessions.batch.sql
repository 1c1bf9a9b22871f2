-- The same sessions where the SESSION window is not known: batch mode has none.
CREATE TEMPORARY VIEW counted_sessions AS
SELECT user_id, MIN(played_at) AS started_at, MAX(played_at) AS last_played_at,
  COUNT(*) AS plays, COUNT(DISTINCT track_id) AS tracks
FROM (
  SELECT *, SUM(begins) OVER (
    PARTITION BY user_id ORDER BY played_at, event_id
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS number
  FROM (
    SELECT user_id, event_id, track_id, played_at,
      CASE WHEN played_at - LAG(played_at) OVER (
        PARTITION BY user_id ORDER BY played_at, event_id) < ${gap_ms} THEN 0 ELSE 1 END AS begins
    FROM plays
  )
)
GROUP BY user_id, number
