-- Folds one batch of feedback of one partition into the listeners' blobs (contracts/features.py).
--
-- KEYS  fence, counts, then one blob per listener
-- ARGV  log id, start, first, last, messages in the batch, most hidden tracks,
--       then the operations of each listener in log order: 'H' hide, 'U' show again, each
--       followed by the track key (8 bytes)
--
-- Returns {fence} or {fence, messages} as fold.lua does.

local HEADER = 4
local sub, byte = string.sub, string.byte
local log, start, first = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local most = tonumber(ARGV[6])

local fence = tonumber(redis.call('HGET', KEYS[1], log) or '-1')
if fence >= first or fence + 1 < start then
  return { fence }
end

local blobs = {}
for k = 3, #KEYS do
  local blob = redis.call('GET', KEYS[k]) or '\1\0\0\0'
  local split = -1
  if #blob >= HEADER and byte(blob, 1) == 1 then
    split = HEADER + 8 * struct.unpack('>I2', blob, 3)
  end
  if split < 0 or split > #blob then
    return redis.error_reply('BLOB ' .. KEYS[k] .. ' is torn or of another layout')
  end
  local hidden, plays = {}, sub(blob, split + 1)
  for at = HEADER + 1, split, 8 do
    hidden[#hidden + 1] = sub(blob, at, at + 7)
  end
  local operations = ARGV[4 + k]
  for at = 1, #operations, 9 do
    local what, track = sub(operations, at, at), sub(operations, at + 1, at + 8)
    for h = #hidden, 1, -1 do
      if hidden[h] == track then table.remove(hidden, h) end
    end
    if what == 'H' then hidden[#hidden + 1] = track end
    if #hidden > most then table.remove(hidden, 1) end
  end
  blobs[k] = '\1\0' .. struct.pack('>I2', #hidden) .. table.concat(hidden) .. plays
end
for k = 3, #KEYS do
  if #blobs[k] == HEADER then redis.call('DEL', KEYS[k]) else redis.call('SET', KEYS[k], blobs[k]) end
end
redis.call('HINCRBY', KEYS[2], log .. ':feedback', ARGV[5])
redis.call('HSET', KEYS[1], log, ARGV[4])
return { fence, tonumber(ARGV[5]) }
