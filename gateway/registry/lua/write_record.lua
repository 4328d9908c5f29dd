-- Write a record, provided that it is still at the version that the writer has read, and its audit entry with it.
--
-- KEYS[1]  hash of the record: v, doc
-- KEYS[2]  list of audit entries of its owner that wait
-- ARGV[1]  version that must be there, 0: no record
-- ARGV[2]  version of the document, above that one
-- ARGV[3]  document
-- ARGV[4]  audit entry, empty: none
--
-- Answers 1 where it was written, 0 where the record has another version. Nothing is written then.

if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'doc', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('RPUSH', KEYS[2], ARGV[4])
end
return 1
