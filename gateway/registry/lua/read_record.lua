-- Read a record, and lease it to the worker that asks.
--
-- KEYS[1]  hash of the record: v, doc
-- KEYS[2]  sorted set of leases: workers by the end of their lease, in milliseconds since 1970
-- ARGV[1]  worker
-- ARGV[2]  length of the lease in milliseconds
-- ARGV[3]  milliseconds after which a lease that was not renewed is forgotten
-- ARGV[4]  1: lease it also where nothing is stored
--
-- Answers {v, doc}, both nil where nothing is stored.

local found = redis.call('HMGET', KEYS[1], 'v', 'doc')
if found[1] or ARGV[4] == '1' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3])
  redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return found
