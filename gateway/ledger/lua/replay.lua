-- Count what stands in a journal: its next entries, once, however often this is asked.
--
-- KEYS[1]  string: number of the last entry of the journal that was counted with keys of this group
-- KEYS     every hash of counters that is named below, each once
-- ARGV[1]  the time, see buckets.lua
-- ARGV[2]  number of the last entry before these that has keys in the group
-- ARGV[3]  number of the last of these
-- ARGV[4]  seconds after which that may be forgotten
-- then for each counter that they move
--   key, field, units (negative: given back, never below 0), expires in seconds since 1970, daily (1: by day besides)
--
-- Answers the number of the last entry that was counted before. Where it is not ARGV[2], nothing was done: these were counted
-- already, or others come first.

local seen = redis.call('GET', KEYS[1]) or '0'
if seen ~= take_text() then
  return tonumber(seen)
end
local last, kept = take_text(), take_number()
while place <= #ARGV do
  local key, field, units, expires, daily = take_key(), take_text(), take_number(), take_text(), take_number() == 1
  local counted = redis.call('HINCRBY', key, field, units)
  if counted < 0 then
    redis.call('HSET', key, field, '0')
  end
  if counted == units then
    redis.call('EXPIREAT', key, expires)
  end
  if daily then
    count_day(key, field, units - math.min(counted, 0))
  end
end
redis.call('SET', KEYS[1], last, 'EX', kept)
return tonumber(seen)
