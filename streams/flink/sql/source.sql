-- The topic of plays as it is: one row a message, undecoded, so that a bad one cannot end the job.
--
-- Time: the watermark follows the log's own clock, when a message was received, and not when its
-- plays were played: an import of last year's plays must neither move time nor hold it back. A
-- message that claims to come from the future counts as received when the broker got it; one that
-- cannot be read does not move time at all. The connector keeps a watermark for each partition.
CREATE TEMPORARY TABLE messages (
  `key` BYTES,
  `value` BYTES,
  `partition` INT METADATA VIRTUAL,
  `offset` BIGINT METADATA VIRTUAL,
  written TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  received AS COALESCE(
    LEAST(
      TO_TIMESTAMP_LTZ(
        TRY_CAST(JSON_VALUE(CAST(`value` AS STRING), '$$.plays[0].received_at') AS BIGINT), 3),
      written),
    TO_TIMESTAMP_LTZ(CAST(0 AS BIGINT), 3)),
  WATERMARK FOR received AS received - ${bound} - INTERVAL '1' MINUTE
) WITH (
  'connector' = 'kafka',
  'topic' = '${topic}',
  ${kafka},
  'properties.group.id' = '${group}',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  ${ends}
  'scan.watermark.idle-timeout' = '${idle}',
  'key.format' = 'raw', 'key.fields' = 'key',
  'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
)
