-- What nginx-lua and the hand-written proxy ask the store for each request, in one step.
-- KEYS: 1 suspension flag, 2 rate (GCRA's theoretical arrival time, µs), 3 counter of the month's quota
-- ARGV: 1 emission interval in µs, 2 burst, 3 quota, 4 cost, 5 seconds that the counter is kept
-- Answers 0 admitted, 1 suspended, 2 over the rate, 3 over the quota; then what is left of the rate, µs to wait, quota left.
if redis.call('EXISTS', KEYS[1]) == 1 then return {1, 0, 0, 0} end
local limit = tonumber(ARGV[3])
local used = tonumber(redis.call('GET', KEYS[3]) or '0')
local cost = tonumber(ARGV[4])
if used + cost > limit then return {3, 0, 0, 0} end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local iv = tonumber(ARGV[1])
local burst = tonumber(ARGV[2])
local tat = tonumber(redis.call('GET', KEYS[2]) or '0')
if tat < now then tat = now end
local ntat = tat + iv * cost
local allow_at = ntat - burst * iv
if allow_at > now then return {2, 0, allow_at - now, limit - used} end
redis.call('SET', KEYS[2], string.format('%.0f', ntat), 'PX', math.ceil((ntat - now) / 1000) + 1)
used = redis.call('INCRBY', KEYS[3], cost)
if used == cost then redis.call('EXPIRE', KEYS[3], ARGV[5]) end
return {0, math.floor((now - allow_at) / iv), 0, limit - used}
