-- Keep what one process at a time holds.
--
-- KEYS[1]  string: who holds it
-- ARGV[1]  who asks
-- ARGV[2]  for how many milliseconds, 0: it is given back
--
-- Answers 1 where it is held, or was until now; 0 where somebody else has it.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
