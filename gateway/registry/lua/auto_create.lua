-- Count a tenant that a request is about to make, unless too many have been made of late.
--
-- KEYS[1]  list of the last creations, the newest first, in milliseconds since 1970
-- ARGV[1]  how many there may be
-- ARGV[2]  within how many milliseconds
--
-- Answers 0 where it is counted, else the milliseconds until the next one may be made.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first = redis.call('LINDEX', KEYS[1], ARGV[1] - 1)
if first and first + ARGV[2] > now then
  return first + ARGV[2] - now
end
redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
redis.call('LTRIM', KEYS[1], 0, ARGV[1] - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 0
