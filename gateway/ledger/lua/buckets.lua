-- Buckets, and what workers hold of them. Stands before each script that moves units.
--
-- ARGV[1]  the time in microseconds since 1970, empty: the store's own
--
-- Records: a worker that holds the lease of one may decide under it. Their leases stand in sorted sets, workers by the end of
-- their lease, in milliseconds since 1970.
--
-- Units that are lent to workers stand in a hash, with their ends in a sorted set: an epoch is the name under which one worker
-- holds units of one bucket. Fields of the hash: `<epoch>` its units, `<epoch>:i` how many of them may be idle, `*` and `*:i` the
-- sums. When an epoch has ended, its units come back: of a quota and of slots they are free again, of a rate they count as
-- used at that instant.
--
-- A key is given as its index in KEYS, 0: none, or none of this call. All arithmetic is in whole numbers below 2^53 (but where a limit has changed:
-- rounded up, once).

-- Ten years, in microseconds.
local AHEAD_MAX = 316224000000000
local BUCKET_LEASE_MS = 5000
-- No worker is lent more at once.
local CELLS_MAX = 1000000

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local place = 2
local function take_text()
  place = place + 1
  return ARGV[place - 1]
end
local function take_number()
  return tonumber(take_text())
end
local function take_key()
  return KEYS[take_number()]
end

local function has_version(key, version)
  return (redis.call('HGET', key, 'v') or '0') == version
end

-- For `length` milliseconds; one that was not renewed is forgotten after `kept`.
local function lease_record(leases, worker, length, kept)
  local now_ms = math.floor(now / 1000)
  redis.call('ZREMRANGEBYSCORE', leases, '-inf', now_ms - kept)
  redis.call('ZADD', leases, now_ms + length, worker)
  redis.call('PEXPIRE', leases, kept)
end

-- units, ends: the hash and the sorted set. `kept` milliseconds after an end it must still be known.
local function take_lent(kept)
  local units, ends = take_key(), take_key()
  return units and {units = units, ends = ends, kept = kept or 0}
end

local function count_of(lent, field)
  return tonumber(redis.call('HGET', lent.units, field) or '0')
end

local function lent_of(lent)
  return lent and count_of(lent, '*') or 0
end

-- The epoch gives back `amount` units, as far as it holds them, that were idle or were not; answers how many it did.
local function give_back(lent, epoch, amount, were_idle)
  if not lent or amount == 0 then
    return 0
  end
  local held, idle = count_of(lent, epoch), count_of(lent, epoch .. ':i')
  amount = math.min(amount, held)
  local no_longer_idle = were_idle and math.min(amount, idle) or math.max(0, idle - (held - amount))
  if amount == held then
    redis.call('HDEL', lent.units, epoch, epoch .. ':i')
    redis.call('ZREM', lent.ends, epoch)
    no_longer_idle = idle
  else
    redis.call('HINCRBY', lent.units, epoch, -amount)
    redis.call('HINCRBY', lent.units, epoch .. ':i', -no_longer_idle)
  end
  redis.call('HINCRBY', lent.units, '*', -amount)
  redis.call('HINCRBY', lent.units, '*:i', -no_longer_idle)
  return amount
end

-- None of the epoch's units is idle any more.
local function all_busy(lent, epoch)
  local idle = lent and count_of(lent, epoch .. ':i') or 0
  if idle > 0 then
    redis.call('HDEL', lent.units, epoch .. ':i')
    redis.call('HINCRBY', lent.units, '*:i', -idle)
  end
end

local function keep(lent, epoch)
  redis.call('ZADD', lent.ends, string.format('%.0f', now + BUCKET_LEASE_MS * 1000), epoch)
  local milliseconds = BUCKET_LEASE_MS + lent.kept
  redis.call('PEXPIRE', lent.ends, milliseconds)
  redis.call('PEXPIRE', lent.units, milliseconds)
end

local function lend(lent, epoch, amount, idle)
  if lent and amount > 0 then
    redis.call('HINCRBY', lent.units, epoch, amount)
    redis.call('HINCRBY', lent.units, '*', amount)
    if idle > 0 then
      redis.call('HINCRBY', lent.units, epoch .. ':i', idle)
      redis.call('HINCRBY', lent.units, '*:i', idle)
    end
    keep(lent, epoch)
  end
end

-- `ended` is told of each epoch's units and end, the first end first.
local function take_back_ended(lent, ended)
  if not lent then
    return
  end
  local found = redis.call('ZRANGEBYSCORE', lent.ends, '-inf', string.format('%.0f', now), 'WITHSCORES')
  for index = 1, #found, 2 do
    local units = give_back(lent, found[index], count_of(lent, found[index]))
    redis.call('ZREM', lent.ends, found[index])
    if ended and units > 0 then
      ended(units, tonumber(found[index + 1]))
    end
  end
end

-- Of `left` units, how many of the `wanted` may go to one worker: others may need some too.
local function share(lent, left, wanted)
  return math.max(0, math.min(wanted, math.floor(left / (redis.call('ZCARD', lent.ends) + 1))))
end

-- Rates: GCRA (ITU-T I.371, annex A). The theoretical arrival time and the interval between two cells are whole microseconds and
-- a rest in units of 1/count of one, so that nothing is ever rounded. A cell is admitted where the arrival time after it, and
-- after all cells that are lent, is at most `tolerance` ahead of now. A count of 0 blocks.

local function take_rate()
  local rate = {key = take_key()}
  local units, ends = take_key(), take_key()
  rate.window, rate.count = take_number(), take_number()
  rate.interval, rate.interval_rest = take_number(), take_number()
  rate.tolerance, rate.tolerance_rest = take_number(), take_number()
  -- What ended long ago still counts while the bucket fills.
  rate.lent = {units = units, ends = ends, kept = math.floor(rate.tolerance / 1000) + 1}
  return rate
end

local function later(rate, time, rest, cells)
  rest = rest + cells * rate.interval_rest
  local carried = rate.count > 0 and math.floor(rest / rate.count) or 0
  return time + cells * rate.interval + carried, rest - carried * rate.count
end

local function conforms(rate, time, rest)
  local ahead = time - now
  return ahead < rate.tolerance or (ahead == rate.tolerance and rest <= rate.tolerance_rest)
end

local function write_arrival(rate, time, rest)
  if time >= now then
    local text = string.format('%.0f %.0f %.0f %.0f %.0f', time, rest, rate.window, rate.count, rate.tolerance)
    redis.call('SET', rate.key, text, 'PX', math.floor((time - now) / 1000) + 1)
  end
end

-- Cells are told by how far ahead of now they put the arrival time: in intervals of the limit they were admitted by.
local function converted(rate, ahead, rest, window, count)
  local cells = (ahead + rest / count) * count / window
  return math.min(math.ceil(cells * rate.window / rate.count), AHEAD_MAX), 0
end

-- The arrival time and its rest, not before `at`. Where the limit has changed since, as many cells stay used as were. Where the
-- clock has gone back since, the bucket is as empty as it can be, and no emptier.
local function arrival_of(rate, at)
  local text = redis.call('GET', rate.key)
  if not text or rate.count == 0 then
    return at, 0
  end
  local time, rest, window, count, tolerance = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  time, rest, window, count, tolerance = tonumber(time), tonumber(rest), tonumber(window), tonumber(count), tonumber(tolerance)
  if time - now > tolerance then
    -- Left so, the bucket would refuse until that time comes again: hence written, whatever follows.
    time = now + tolerance
    write_arrival({key = rate.key, window = window, count = count, tolerance = tolerance}, time, rest)
  end
  if time < at then
    return at, 0
  end
  if window ~= rate.window or count ~= rate.count then
    local ahead
    ahead, rest = converted(rate, time - at, rest, window, count)
    time = at + ahead
  end
  return time, rest
end

local function use(rate, cells, at)
  if cells > 0 and rate.count > 0 then
    local time, rest = arrival_of(rate, at)
    write_arrival(rate, later(rate, time, rest, cells))
  end
end

-- What the worker says of its epoch: cells that it has used since, the last of them `age` microseconds ago, and idle ones that it
-- gives back.
local function report(rate, epoch, used, age, idle)
  take_back_ended(rate.lent, function(units, at) use(rate, units, at) end)
  -- Those of an epoch that has ended are charged already.
  use(rate, give_back(rate.lent, epoch, used), now - age)
  give_back(rate.lent, epoch, idle, true)
end

-- How many more cells fit beyond this arrival time, at most `wanted`, and a fair share.
local function cells_left(rate, time, rest, wanted)
  if wanted == 0 or rate.count == 0 then
    return 0
  end
  local left = math.min(CELLS_MAX, math.floor((rate.tolerance - (time - now)) * (rate.count / rate.window)) + 1)
  local cells = share(rate.lent, left, math.min(wanted, CELLS_MAX))
  while cells > 0 and not conforms(rate, later(rate, time, rest, cells)) do
    cells = cells - 1
  end
  return cells
end

-- Quotas: what was used stands in hashes by metric, and is the truth; what is lent comes on top.

local function take_quota()
  local quota = {tenant = take_key(), org = take_key()}
  quota.of_tenant, quota.of_org = take_lent(), take_lent()
  quota.metric, quota.cap, quota.org_cap = take_text(), take_number(), take_number()
  return quota
end

local function used(key, metric, lent)
  return key and tonumber(redis.call('HGET', key, metric) or '0') + lent_of(lent) or 0
end

local function fits(amount, cap)
  return cap < 0 or (cap > 0 and amount <= cap)
end

local function quota_ended(quota)
  take_back_ended(quota.of_tenant)
  take_back_ended(quota.of_org)
end

local function quota_back(quota, epoch, amount)
  quota_ended(quota)
  give_back(quota.of_tenant, epoch, amount, true)
  give_back(quota.of_org, epoch, amount, true)
end

-- How many of the `wanted` units can be lent beside `by_tenant` and `by_org`, which are used.
local function units_left(quota, by_tenant, by_org, wanted)
  if quota.of_tenant then
    wanted = share(quota.of_tenant, quota.cap - by_tenant, wanted)
  end
  if quota.of_org then
    wanted = share(quota.of_org, quota.org_cap - by_org, wanted)
  end
  return wanted
end

local function lend_quota(quota, epoch, amount, idle)
  lend(quota.of_tenant, epoch, amount, idle)
  lend(quota.of_org, epoch, amount, idle)
end

-- What was counted of a tenant stands in its usage hash by metric, and by day besides, as `<metric> <day since 1970>`: the day of
-- the store's clock on which it was counted. Negative `units` were counted today or, around midnight, before.

local DAY = 86400000000
local DAYS_BACK = 62

local of_today

local function count_day(key, metric, units)
  local today = math.floor(now / DAY)
  if units > 0 then
    of_today = of_today or string.format(' %.0f', today)
    redis.call('HINCRBY', key, metric .. of_today, units)
    return
  end
  for day = today, today - DAYS_BACK, -1 do
    if units == 0 then
      return
    end
    local field = string.format('%s %.0f', metric, day)
    local back = math.min(-units, tonumber(redis.call('HGET', key, field) or '0'))
    if back > 0 then
      redis.call('HINCRBY', key, field, -back)
      units = units + back
    end
  end
end
