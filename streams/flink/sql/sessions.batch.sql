-- The same sessions where the SESSION window is not known: batch mode has none.
CREATE TEMPORARY TABLE sessions (
  `key` STRING,
  user_id STRING,
  started_at BIGINT,
  last_played_at BIGINT,
  plays BIGINT,
  tracks BIGINT,
  run BIGINT,
  version INT
) WITH (${sink});

INSERT INTO sessions
SELECT user_id || '|' || CAST(MIN(played_at) AS STRING), user_id, MIN(played_at), MAX(played_at),
  COUNT(*), COUNT(DISTINCT track_id), ${run}, 1
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
