-- Write a record, provided that it is still at the version that the writer has read.
--
-- KEYS[1]  hash of the record: v, doc
-- ARGV[1]  version that must be there, 0: no record
-- ARGV[2]  version of the document, above that one
-- ARGV[3]  document
--
-- Answers 1 where it was written, 0 where the record has another version. Nothing is written then.

if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'doc', ARGV[3])
return 1
