-- Write a record, provided that it is still at the version that the writer has read, and its audit entry with it. Call in the
-- leases of that version.
--
-- KEYS[1]  hash of the record: v, doc
-- KEYS[2]  list of audit entries of its owner that wait
-- KEYS[3]  sorted set of leases, by worker
-- KEYS[4]  sorted set of workers that may still decide under an older version, by the version that they have to drop it for
-- ARGV[1]  version that must be there, 0: no record
-- ARGV[2]  version of the document, above that one
-- ARGV[3]  document
-- ARGV[4]  audit entry, empty: none
-- ARGV[5]  channel that the change is told on
-- ARGV[6]  owner of the record, as it is told there: "<owner> <version>"
-- ARGV[7]  milliseconds after which workers that do not answer are forgotten
--
-- Answers 1 where it was written, 0 where the record has another version. Nothing is written then. Leases that are granted from
-- now on are of the new version, so nobody has to wait for them.

if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'doc', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('RPUSH', KEYS[2], ARGV[4])
end
-- All of them, however long ago they should have ended: this clock can step, and who waits has a clock of its own.
for _, worker in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  redis.call('ZADD', KEYS[4], ARGV[2], worker)
  redis.call('PEXPIRE', KEYS[4], ARGV[7])
end
redis.call('DEL', KEYS[3])
redis.call('PUBLISH', ARGV[5], ARGV[6] .. ' ' .. ARGV[2])
return 1
