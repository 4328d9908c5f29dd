-- Write a record, provided that it is still at the version that the writer has read.
--
-- KEYS[1]  hash of the record: v, doc
-- ARGV[1]  version that must be there, 0: no record
-- ARGV[2]  document; its version is one more
--
-- Answers 1 where it was written, 0 where the record has another version. Nothing is written then.

local version = tonumber(redis.call('HGET', KEYS[1], 'v') or '0')
if version ~= tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'v', version + 1, 'doc', ARGV[2])
return 1
