-- Count what stands in a journal: its next entries, once, however often this is asked.
--
-- KEYS[1]  string: number of the last entry of the journal that was counted with keys of this group
-- KEYS     every hash of counters that is named below, each once
-- ARGV[1]  number of the last entry before these that has keys in the group
-- ARGV[2]  number of the last of these
-- ARGV[3]  seconds after which that may be forgotten
-- then for each counter that they move
--   key, field, units (negative: given back, never below 0), expires in seconds since 1970
--
-- Answers the number of the last entry that was counted before. Where it is not ARGV[1], nothing was done: these were counted
-- already, or others come first.

local seen = redis.call('GET', KEYS[1]) or '0'
if seen ~= ARGV[1] then
  return tonumber(seen)
end
for place = 4, #ARGV, 4 do
  local key, field, units = KEYS[tonumber(ARGV[place])], ARGV[place + 1], tonumber(ARGV[place + 2])
  local counted = redis.call('HINCRBY', key, field, units)
  if counted < 0 then
    redis.call('HSET', key, field, '0')
  end
  if counted == units then
    redis.call('EXPIREAT', key, ARGV[place + 3])
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return tonumber(seen)
