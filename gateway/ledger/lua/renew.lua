-- Renew the leases of slots that are held.
--
-- KEYS     sorted sets of slots, each once
-- ARGV[1]  the time in microseconds since 1970, empty: the store's own
-- ARGV[2]  length of the lease in milliseconds
-- then for each slot: index of its key in KEYS, holder
--
-- Answers 1. A slot that was given back, or whose lease has ended, is not held again: another may have its place.

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
for place = 3, #ARGV, 2 do
  local key, holder = KEYS[tonumber(ARGV[place])], ARGV[place + 1]
  local ends = redis.call('ZSCORE', key, holder)
  if ends and tonumber(ends) >= now then
    redis.call('ZADD', key, 'XX', now + ARGV[2] * 1000, holder)
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return 1
