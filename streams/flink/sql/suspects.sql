-- Patterns no person produces (contracts/suspects.py defines each).
CREATE TEMPORARY TABLE suspects (
  `key` STRING,
  user_id STRING,
  `pattern` STRING,
  started_at BIGINT,
  ended_at BIGINT,
  plays BIGINT,
  run BIGINT,
  version INT
) WITH (${sink});

-- More than can be heard: six plays of half a minute or more need three minutes, not one.
INSERT INTO suspects
SELECT user_id || '|too-fast|' || CAST(started_at AS STRING), user_id, 'too-fast', started_at,
  ended_at, plays, ${run}, 1
FROM (SELECT * FROM plays WHERE heard) MATCH_RECOGNIZE (
  PARTITION BY user_id ORDER BY `at`, event_id
  MEASURES FIRST(A.played_at) AS started_at, LAST(A.played_at) AS ended_at,
    COUNT(A.event_id) AS plays
  ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A{6}) WITHIN INTERVAL '60' SECOND
  DEFINE A AS TRUE
);

-- One track for hours.
INSERT INTO suspects
SELECT user_id || '|one-track|' || CAST(started_at AS STRING), user_id, 'one-track', started_at,
  ended_at, plays, ${run}, 1
FROM plays MATCH_RECOGNIZE (
  PARTITION BY user_id ORDER BY `at`, event_id
  MEASURES A.played_at AS started_at, LAST(B.played_at) AS ended_at,
    COUNT(B.event_id) + 1 AS plays
  ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B{39}) WITHIN INTERVAL '4' HOUR
  DEFINE B AS B.track_id = A.track_id
);

-- Many accounts, one behaviour: the same tracks at the same seconds for an hour. The trace of a
-- play is a hash of track and second; their sum does not depend on the order.
INSERT INTO suspects
SELECT CONCAT(u.user_id, '|same-trace|', CAST(started_at AS STRING)), u.user_id, 'same-trace',
  started_at, ended_at, plays, ${run}, 1
FROM (
  SELECT window_start, window_end, traces, plays, MIN(started_at) AS started_at,
    MAX(ended_at) AS ended_at, ARRAY_AGG(user_id) AS users
  FROM (
    SELECT window_start, window_end, user_id, SUM(trace) AS traces, COUNT(*) AS plays,
      MIN(played_at) AS started_at, MAX(played_at) AS ended_at
    FROM TABLE(TUMBLE(TABLE plays, DESCRIPTOR(`at`), INTERVAL '1' HOUR))
    GROUP BY window_start, window_end, user_id
  )
  WHERE plays >= 5
  GROUP BY window_start, window_end, traces, plays
  HAVING COUNT(*) >= 5
) CROSS JOIN UNNEST(users) AS u (user_id)
