-- Sessions: plays of a listener whose starts are less than the session gap apart (contracts/plays.py).
-- Flink joins windows that touch, so the gap here is a millisecond shorter.
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
SELECT user_id || '|' || CAST(started_at AS STRING), user_id, started_at, last_played_at, plays,
  tracks, ${run}, 1
FROM (
  SELECT user_id, MIN(played_at) AS started_at, MAX(played_at) AS last_played_at,
    COUNT(*) AS plays, COUNT(DISTINCT track_id) AS tracks
  FROM TABLE(SESSION(TABLE plays PARTITION BY user_id, DESCRIPTOR(`at`), ${gap}))
  GROUP BY user_id, window_start, window_end
)
