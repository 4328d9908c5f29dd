-- Count one more, in a window that begins with the first.
--
-- KEYS[1]  string: the number
-- ARGV[1]  milliseconds after which the window ends
--
-- Answers the number, and how many milliseconds of the window are left.

local number = redis.call('INCR', KEYS[1])
if number == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return {number, redis.call('PTTL', KEYS[1])}
