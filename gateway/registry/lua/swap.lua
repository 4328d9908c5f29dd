-- Replace, or delete, a string that still has the value that the writer has read.
--
-- KEYS[1]  string
-- ARGV[1]  value that must be there
-- ARGV[2]  its new value, empty: delete it
--
-- Answers 1 where it was done, 0 where the value was another.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return 1
