-- An attempt to deliver the first event of a lane has ended.
--
-- KEYS[1]  list: the lane
-- KEYS[2]  sorted set: the webhook's lanes, by the time when they are due
-- KEYS[3]  sorted set: webhooks for which something waits, likewise
-- KEYS[4]  hash: how many events wait, by webhook
-- KEYS[5]  stream: the webhook's dead letters
-- KEYS[6]  stream: the attempts
-- ARGV[1]  webhook
-- ARGV[2]  tenant
-- ARGV[3]  the event as it stood in the lane
-- ARGV[4]  what becomes of it: done, again, dead, lost; gone: the whole lane is forgotten
-- ARGV[5]  when the lane is due next, in milliseconds
-- ARGV[6]  again: the event as it stands there from now on; dead: its body
-- ARGV[7]  what is told of the attempt
-- ARGV[8]  how many attempts are kept
-- ARGV[9]  how many dead letters are kept
-- ARGV[10] milliseconds after which either is forgotten
--
-- Answers 1; 0 where another event stands first by now: nothing is done then.

if redis.call('LINDEX', KEYS[1], 0) ~= ARGV[3] then
  return 0
end
local left = 0
if ARGV[4] == 'again' then
  redis.call('LSET', KEYS[1], 0, ARGV[6])
elseif ARGV[4] == 'gone' then
  left = redis.call('LLEN', KEYS[1])
  redis.call('DEL', KEYS[1], KEYS[5], KEYS[6])
else
  left = 1
  redis.call('LPOP', KEYS[1])
end
local time = redis.call('TIME')
local oldest = string.format('%.0f', time[1] * 1000 - ARGV[10])
if ARGV[4] == 'dead' then
  redis.call('XADD', KEYS[5], 'MAXLEN', ARGV[9], '*', 'tenant', ARGV[2], 'body', ARGV[6], 'told', ARGV[7])
  redis.call('XTRIM', KEYS[5], 'MINID', '~', oldest)
  redis.call('PEXPIRE', KEYS[5], ARGV[10])
end
if ARGV[4] ~= 'gone' then
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[8], '*', 'told', ARGV[7])
  redis.call('PEXPIRE', KEYS[6], ARGV[10])
end
if left > 0 and redis.call('HINCRBY', KEYS[4], ARGV[1], -left) <= 0 then
  redis.call('HDEL', KEYS[4], ARGV[1])
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('ZADD', KEYS[2], ARGV[5], ARGV[2])
else
  redis.call('ZREM', KEYS[2], ARGV[2])
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
if first[2] then
  redis.call('ZADD', KEYS[3], first[2], ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return 1
