-- Put events at the ends of the lanes that they wait in, and note it where they come from, so that they are queued once.
--
-- KEYS[1]  string: number of the last entry of the trail that was followed, or whether an event was queued
-- KEYS[2]  sorted set: webhooks for which something waits, by the time when the first of it is due
-- KEYS[3]  hash: how many events wait, by webhook
-- then for each event
-- KEYS     list: the lane; sorted set: the webhook's lanes; stream: its dead letters
-- ARGV[1]  number that must be there, of none 0; empty: it does not matter
-- ARGV[2]  its new value
-- ARGV[3]  present time in milliseconds
-- ARGV[4]  how many events may wait for one webhook
-- ARGV[5]  how many dead letters one webhook may have
-- ARGV[6]  milliseconds after which dead letters without a successor are forgotten
-- ARGV[7]  milliseconds after which the number is, 0: never
-- then for each event
-- ARGV     webhook; tenant; the event as it stands in its lane; the same as a dead letter: body, what is told of it
--
-- Answers how many events were queued; -1 where another number is there. An event for which there
-- is no room becomes a dead letter at once.

if ARGV[1] ~= '' then
  if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then
    return -1
  end
  redis.call('SET', KEYS[1], ARGV[2])
  if ARGV[7] ~= '0' then
    redis.call('PEXPIRE', KEYS[1], ARGV[7])
  end
end
local queued = 0
for event = 0, (#KEYS - 3) / 3 - 1 do
  local lane, lanes, dead = KEYS[4 + 3 * event], KEYS[5 + 3 * event], KEYS[6 + 3 * event]
  local webhook, tenant, item, body, told = unpack(ARGV, 8 + 5 * event, 12 + 5 * event)
  if tonumber(redis.call('HGET', KEYS[3], webhook) or '0') >= tonumber(ARGV[4]) then
    redis.call('XADD', dead, 'MAXLEN', ARGV[5], '*', 'tenant', tenant, 'body', body, 'told', told)
    redis.call('PEXPIRE', dead, ARGV[6])
  else
    queued = queued + 1
    redis.call('HINCRBY', KEYS[3], webhook, 1)
    if redis.call('RPUSH', lane, item) == 1 then
      redis.call('ZADD', lanes, ARGV[3], tenant)
    end
    local first = redis.call('ZRANGE', lanes, 0, 0, 'WITHSCORES')
    redis.call('ZADD', KEYS[2], first[2], webhook)
  end
end
return queued
