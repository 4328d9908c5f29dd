-- A worker has dropped what it held of a record's older versions.
--
-- KEYS[1]  sorted set of workers that may still decide under an older version, by the version that they have to drop it for
-- ARGV[1]  worker
-- ARGV[2]  version before which it holds nothing, and will accept nothing
--
-- Answers {number of workers that are left, INFO server, INFO replication}. One that has to drop a later version stays.

local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
if before and tonumber(before) <= tonumber(ARGV[2]) then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return {redis.call('ZCARD', KEYS[1]), redis.call('INFO', 'server'), redis.call('INFO', 'replication')}
