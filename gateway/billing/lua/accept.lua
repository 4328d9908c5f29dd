-- What was told has arrived where it is billed.
--
-- KEYS[1]  hash, see claim.lua
-- ARGV     field, up to where units have arrived
--
-- Answers how many of these had been noted, or were accepted before.

local count = 0
for place = 1, #ARGV, 2 do
  local field, pending = ARGV[place], ARGV[place] .. ' pending'
  if redis.call('HGET', KEYS[1], pending) == ARGV[place + 1] then
    redis.call('HSET', KEYS[1], field, ARGV[place + 1])
    redis.call('HDEL', KEYS[1], pending)
    count = count + 1
  elseif redis.call('HGET', KEYS[1], field) == ARGV[place + 1] then
    count = count + 1
  end
end
return count
