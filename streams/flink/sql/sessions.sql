-- Sessions: plays of a listener whose starts are less than the session gap apart (contracts/plays.py).
-- The view counted_sessions counts them, live and in batch in its own way.
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
FROM counted_sessions
