-- Folds one batch of plays of one partition into the listeners' blobs (contracts/features.py).
--
-- KEYS  fence, counts, then one blob per listener
-- ARGV  log id, start, first, last, plays in the batch, plays repeated inside the batch,
--       window, then one run of packed plays per listener: distinct, ascending
--
-- Returns {fence}                                when the batch is (partly) applied already,
--                                                or when the fence is before `start` - 1,
--         {fence, kept, duplicate, late}         after applying it.
--
-- Numbers are compared as numbers: Lua compares strings by the server's locale. The 64-bit track
-- key is taken as two halves, because a Lua number holds 53 bits.

local PLAY, HEADER = 14, 4
local unpack, sub, byte = struct.unpack, string.sub, string.byte
local log, start, first = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local plays, repeated = tonumber(ARGV[5]), tonumber(ARGV[6])
local window = tonumber(ARGV[7])

local fence = tonumber(redis.call('HGET', KEYS[1], log) or '-1')
if fence >= first or fence + 1 < start then
  return { fence }
end

-- Sign of play a[i] against play b[j] by second and track (positions from 0).
local function compare(a, i, b, j)
  local s, h, l = unpack('>I4I4I4', a, i * PLAY + 1)
  local t, g, k = unpack('>I4I4I4', b, j * PLAY + 1)
  if s ~= t then return s < t and -1 or 1 end
  if h ~= g then return h < g and -1 or 1 end
  if l ~= k then return l < k and -1 or 1 end
  return 0
end

-- Of two reports of one play the longer hearing stands; an unknown one (255) yields to any.
local function weight(plays, i)
  local ratio, flags = byte(plays, i * PLAY + 13, i * PLAY + 14)
  return (ratio == 255 and 0 or ratio + 1) * 256 + 255 - flags
end

-- Returns the newest `window` of both runs, how many of `new` entered, how many were held already.
local function merge(old, new)
  local held, added = #old / PLAY, #new / PLAY
  if held == 0 or compare(new, 0, old, held - 1) > 0 then
    return sub(old .. new, -window * PLAY), math.min(added, window), 0
  end
  local parts, room, kept, duplicate = {}, window, 0, 0
  local i, j = held - 1, added - 1 -- newest not yet taken, of old and new
  local function take(run, from, to) -- plays from..to, the newest that fit
    local n = math.min(to - from + 1, room)
    if n > 0 then
      parts[#parts + 1] = sub(run, (to + 1 - n) * PLAY + 1, (to + 1) * PLAY)
      room = room - n
      return n
    end
    return 0
  end
  while j >= 0 and room > 0 do
    local low, high = 0, i + 1 -- find how many held plays are not later than new[j]
    while low < high do
      local middle = math.floor((low + high) / 2)
      if compare(old, middle, new, j) <= 0 then low = middle + 1 else high = middle end
    end
    take(old, low, i)
    i = low - 1
    if room > 0 then
      if i >= 0 and compare(old, i, new, j) == 0 then
        duplicate = duplicate + 1
        if weight(new, j) > weight(old, i) then take(new, j, j) else take(old, i, i) end
        i = i - 1
      else
        kept = kept + take(new, j, j)
      end
      j = j - 1
    end
  end
  take(old, 0, i)
  local count = #parts
  for p = 1, math.floor(count / 2) do
    parts[p], parts[count + 1 - p] = parts[count + 1 - p], parts[p]
  end
  return table.concat(parts), kept, duplicate
end

-- Read and merge everything before the first write: a script that fails half-way is not undone.
local blobs, kept, duplicate = {}, 0, repeated
for k = 3, #KEYS do
  local blob = redis.call('GET', KEYS[k]) or '\1\0\0\0'
  local split = -1
  if #blob >= HEADER and byte(blob, 1) == 1 then
    split = HEADER + 8 * unpack('>I2', blob, 3)
  end
  if split < 0 or split > #blob or (#blob - split) % PLAY ~= 0 then
    return redis.error_reply('BLOB ' .. KEYS[k] .. ' is torn or of another layout')
  end
  local merged, entered, known = merge(sub(blob, split + 1), ARGV[5 + k])
  kept, duplicate = kept + entered, duplicate + known
  blobs[k] = sub(blob, 1, split) .. merged
end
for k = 3, #KEYS do
  redis.call('SET', KEYS[k], blobs[k])
end
local late = plays - kept - duplicate
redis.call('HINCRBY', KEYS[2], log .. ':plays', plays)
redis.call('HINCRBY', KEYS[2], log .. ':kept', kept)
redis.call('HINCRBY', KEYS[2], log .. ':duplicate', duplicate)
redis.call('HINCRBY', KEYS[2], log .. ':late', late)
redis.call('HSET', KEYS[1], log, ARGV[4])
return { fence, kept, duplicate, late }
