-- Put a dead letter at the end of its lane again.
--
-- KEYS[1]  stream: the webhook's dead letters
-- KEYS[2]  list: the lane
-- KEYS[3]  sorted set: the webhook's lanes, by the time when they are due
-- KEYS[4]  sorted set: webhooks for which something waits, likewise
-- KEYS[5]  hash: how many events wait, by webhook
-- ARGV[1]  id of the letter
-- ARGV[2]  webhook
-- ARGV[3]  tenant
-- ARGV[4]  the event as it stands in a lane
-- ARGV[5]  present time in milliseconds
-- ARGV[6]  how many events may wait for one webhook
--
-- Answers 1; 0 where there is no such letter any more, -1 where there is no room.

if tonumber(redis.call('HGET', KEYS[5], ARGV[2]) or '0') >= tonumber(ARGV[6]) then
  return -1
end
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('HINCRBY', KEYS[5], ARGV[2], 1)
if redis.call('RPUSH', KEYS[2], ARGV[4]) == 1 then
  redis.call('ZADD', KEYS[3], ARGV[5], ARGV[3])
end
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
redis.call('ZADD', KEYS[4], first[2], ARGV[2])
return 1
