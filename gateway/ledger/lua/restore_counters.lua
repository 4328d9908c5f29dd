-- Set counters that are not there yet. What is there stays.
--
-- KEYS[1]  hash of counters
-- ARGV[1]  when it expires, in seconds since 1970; 0: never
-- ARGV[2…] name and value of each
--
-- Answers how many were set.

local set = 0
for at = 2, #ARGV, 2 do
  set = set + redis.call('HSETNX', KEYS[1], ARGV[at], ARGV[at + 1])
end
if ARGV[1] ~= '0' then
  redis.call('EXPIREAT', KEYS[1], ARGV[1])
end
return set
