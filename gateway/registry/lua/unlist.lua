-- Take a tenant off an origin, unless a later version of its record has listed the origin again.
--
-- KEYS[1]  sorted set: tenants by the version of the record that listed the origin
-- ARGV[1]  tenant
-- ARGV[2]  version of the record that does not list it any more
--
-- Answers the number of entries that were removed.

local listed = redis.call('ZSCORE', KEYS[1], ARGV[1])
if listed and tonumber(listed) < tonumber(ARGV[2]) then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
