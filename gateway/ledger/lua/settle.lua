-- Give back what requests held, or did not get; count what they used beyond that.
--
-- KEYS  every key that is named below, each once
-- ARGV  one after the other, each starting with its kind; a key is its index in KEYS
--   units  key, field, amount   of a usage hash; never below 0, and none is made where there is none
--   more   key, field, amount, when the hash expires (seconds since 1970)   units that are counted on top
--   slot   key, holder: its place in a sorted set, of slots or of reservations
--   nonce  key
--   made   key, counts key, resource, holder: the reservation becomes one that exists; once, whoever says so how often
--
-- Answers 1. A holder that has none leaves the others' slots alone; units are given back once for each call.

local place = 1
local function take()
  place = place + 1
  return ARGV[place - 1]
end

while place <= #ARGV do
  local kind, key = take(), KEYS[tonumber(take())]
  if kind == 'slot' then
    redis.call('ZREM', key, take())
  elseif kind == 'nonce' then
    redis.call('DEL', key)
  elseif kind == 'made' then
    local counts, resource, holder = KEYS[tonumber(take())], take(), take()
    if redis.call('ZREM', key, holder) == 1 then
      redis.call('HINCRBY', counts, resource, 1)
    end
  elseif kind == 'more' then
    local field, amount, expires = take(), take(), take()
    redis.call('HINCRBY', key, field, amount)
    redis.call('EXPIREAT', key, expires)
  else
    local field, amount = take(), tonumber(take())
    local used = tonumber(redis.call('HGET', key, field) or '0')
    if used > 0 then
      redis.call('HINCRBY', key, field, -math.min(used, amount))
    end
  end
end
return 1
