-- Append an entry to an organization's audit trail, provided that the trail still ends where the writer has read that it does.
--
-- KEYS[1]  stream of entries: entry, hash
-- KEYS[2]  hash: `head`, the last entry's number and hash; by owner, the version of its record that was noted last
-- ARGV[1]  head that must be there, empty: none yet
-- ARGV[2]  number of the entry
-- ARGV[3]  the entry
-- ARGV[4]  its hash
-- ARGV[5]  owner of the record that was changed
-- ARGV[6]  version of the record after the change
-- ARGV[7]  about how many entries are kept
--
-- Answers 1 where the entry is in the trail, also from an earlier try; 0 where the trail has another head.

local noted = redis.call('HGET', KEYS[2], 'of:' .. ARGV[5])
if noted and tonumber(noted) >= tonumber(ARGV[6]) then
  return 1
end
if (redis.call('HGET', KEYS[2], 'head') or '') ~= ARGV[1] then
  return 0
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[7], ARGV[2] .. '-0', 'entry', ARGV[3], 'hash', ARGV[4])
redis.call('HSET', KEYS[2], 'head', ARGV[2] .. ' ' .. ARGV[4], 'of:' .. ARGV[5], ARGV[6])
return 1
